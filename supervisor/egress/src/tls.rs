//! TLS to hosts: the public certificate authorities and the operator's.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// A way out that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator's certificate authorities are no PEM.
    #[error("egress.caFile cannot be read")]
    Pem(#[source] pem::Error),
    /// There is none in it, or one that is none.
    #[error("egress.caFile has no usable certificate")]
    Authority(#[source] Option<rustls::Error>),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// How hosts are greeted: HTTP/1.1 only, no certificate of ours.
pub(crate) fn client(authorities: &[u8]) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let public = roots.len();
    for certificate in CertificateDer::pem_slice_iter(authorities) {
        let certificate = certificate.map_err(Error::Pem)?;
        roots.add(certificate).map_err(|err| Error::Authority(Some(err)))?;
    }
    if !authorities.is_empty() && roots.len() == public {
        return Err(Error::Authority(None));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
