//! Forms with a file in them: `multipart/form-data`, RFC 7578.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::adapter::Enclosed;

/// Random bytes of a boundary: whoever writes what is in a file does not know them.
const BOUNDARY: usize = 16;

/// A form of these fields with the file in the field of that name: what kind of body it is, and the body.
/// `None` when the system gives no random bytes.
pub(crate) fn multipart(
    fields: &[(&'static str, String)],
    (field, file): (&str, Enclosed<'_>),
) -> Option<(String, Bytes)> {
    let mut random = [0; BOUNDARY];
    SystemRandom::new().fill(&mut random).ok()?;
    let boundary = URL_SAFE_NO_PAD.encode(random);
    let mut body = BytesMut::with_capacity(file.bytes.len().saturating_add(1024));
    for (name, value) in fields {
        let head =
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"{field}\"; filename=\"{}\"\r\n\
         content-type: {}\r\n\r\n",
        quoted(&file.is.name),
        file.is.media_type,
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    Some((format!("multipart/form-data; boundary={boundary}"), body.freeze()))
}

/// A name between quotes, as browsers write it: HTML, "multipart/form-data encoding algorithm".
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use networks::File;

    use super::*;

    #[test]
    fn a_form_has_its_fields_and_the_file_last() {
        let is = File {
            name: "a\"b\r\n.png".to_owned(),
            media_type: "image/png".to_owned(),
            ..File::default()
        };
        let file = Enclosed { is: &is, bytes: &[0, 255, 13, 10] };
        let (kind, body) = multipart(&[("chat_id", "7".to_owned())], ("photo", file)).unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(boundary.len(), 22);
        let want = [
            format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n"
            ),
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"photo\"; "),
            "filename=\"a%22b%0D%0A.png\"\r\ncontent-type: image/png\r\n\r\n".to_owned(),
        ];
        let want = [want.concat().as_bytes(), &[0, 255, 13, 10]].concat();
        let end = format!("\r\n--{boundary}--\r\n");
        assert_eq!(body, [&want, end.as_bytes()].concat());
        let (again, _) = multipart(&[], ("photo", file)).unwrap();
        assert_ne!(kind, again, "nobody knows it beforehand");
    }
}
