//! Every field that is signed, changed one by one, is refused.

use types::Scope;

use super::*;
use crate::testing::{Machine, START, Said, World, base64url, code, detail, introduction, world};

const SIGNATURE: &str = "DEVICE_AUTH_SIGNATURE_INVALID";

const ASKED: [&str; 2] = ["operator.read", "operator.strange"];

/// What a proof says after `change`, at a time `late` after it was signed with `version`.
async fn verify(
    world: &World,
    machine: &Machine,
    version: u8,
    late: i64,
    change: impl FnOnce(&mut DeviceProof, &mut Introduction<'static>),
) -> Result<(), ConnectError> {
    let token = world.token(&world.a, &[Scope::Read]).await.text.leak();
    let principal = Box::leak(Box::new(world.enter(token)));
    let asked = ASKED.map(str::to_owned).to_vec().leak();
    let said = Said { token, role: records::DeviceRole::Operator, asked: &ASKED };
    let mut proof = machine.proof(START);
    proof.signature = {
        let proof = Box::leak(Box::new(proof.clone()));
        machine.sign(&introduction(principal, proof, &said, asked), version)
    };
    let spare = Box::leak(Box::new(proof.clone()));
    let mut it = introduction(principal, spare, &said, asked);
    change(&mut proof, &mut it);
    let it = Introduction { proof: &proof, ..it };
    verify_proof(&it, START.checked_add_signed(late).unwrap())
}

#[tokio::test]
async fn what_is_signed_is_what_is_said() {
    let (world, machine) = (world().await, Machine::new());
    for version in [2, 3] {
        for late in [0, 119_000, -119_000] {
            verify(&world, &machine, version, late, |_, _| ()).await.unwrap();
        }
    }
    // Padding is read too.
    let padded = |proof: &mut DeviceProof, _: &mut Introduction<'static>| {
        proof.public_key.push('=');
        proof.signature.push_str("==");
    };
    verify(&world, &machine, 3, 0, padded).await.unwrap();
}

#[tokio::test]
async fn every_change_is_refused() {
    type Change = fn(&mut DeviceProof, &mut Introduction<'static>);
    let (world, machine) = (world().await, Machine::new());
    let check = async |version: u8, want: &str, late: i64, change: Change| {
        let err = verify(&world, &machine, version, late, change).await.unwrap_err();
        assert_eq!((code(&err), err.code), (want, Code::InvalidRequest), "v{version} {err}");
        assert!(detail(&err, "reason").as_str().unwrap().starts_with("device-"), "{err:?}");
    };
    for version in [2, 3] {
        let signed: [Change; 12] = [
            |_, it| it.client_id = "clj",
            |_, it| it.client_mode = "ui",
            |_, it| it.role_name = "node",
            |_, it| it.asked = &[],
            |_, it| it.asked = Box::leak(Box::new(["operator.strange,operator.read".to_owned()])),
            |_, it| it.asked = vec!["operator.admin".to_owned()].leak(),
            |_, it| it.token = "",
            |_, it| it.token = "tk_a_other",
            |proof, _| proof.signed_at += 1,
            |proof, _| proof.signature = base64url(&[0; 64]),
            |proof, _| proof.signature.clear(),
            |proof, _| proof.signature.replace_range(..1, "*"),
        ];
        for change in signed {
            check(version, SIGNATURE, 0, change).await;
        }
        let both = |proof: &mut DeviceProof, it: &mut Introduction<'static>| {
            (proof.nonce, it.nonce) = ("other".to_owned(), "other");
        };
        check(version, SIGNATURE, 0, both).await;
        let replayed: Change = |_, it| it.nonce = "other";
        check(version, "DEVICE_AUTH_NONCE_MISMATCH", 0, replayed).await;
        let none: Change = |proof, _| proof.nonce.clear();
        check(version, "DEVICE_AUTH_NONCE_REQUIRED", 0, none).await;
        check(version, "DEVICE_AUTH_SIGNATURE_EXPIRED", 120_001, |_, _| ()).await;
        check(version, "DEVICE_AUTH_SIGNATURE_EXPIRED", -120_001, |_, _| ()).await;
        let id: Change = |proof, _| proof.id.replace_range(..2, "zz");
        check(version, "DEVICE_AUTH_DEVICE_ID_MISMATCH", 0, id).await;
        let upper: Change = |proof, _| proof.id = proof.id.to_uppercase() + "A";
        check(version, "DEVICE_AUTH_DEVICE_ID_MISMATCH", 0, upper).await;
        let key: Change = |proof, _| proof.public_key = base64url(&[7; 31]);
        check(version, "DEVICE_AUTH_PUBLIC_KEY_INVALID", 0, key).await;
        let other: Change = |proof, _| {
            let signature = proof.signature.clone();
            *proof = DeviceProof { signature, ..Machine::new().proof(proof.signed_at) };
        };
        check(version, SIGNATURE, 0, other).await;
    }
    check(3, SIGNATURE, 0, |_, it| it.platform = Some("macos")).await;
    check(3, SIGNATURE, 0, |_, it| it.device_family = None).await;
    // Version 2 does not say what it runs on.
    verify(&world, &machine, 2, 0, |_, it| it.platform = Some("macos")).await.unwrap();
}
