//! Destinations that verify the signature by a public library of Standard Webhooks.

use std::{collections::HashSet, process::Command};

use deployment_telemetry::{Outcome, Reason};
use test_support::{Behaviour, FakeDestination, ReceivedRequest, programs};

use crate::{
    host::custom,
    recipe::Recipe,
    replay::{recorded, send},
    run::{begin, whole_run},
    running::Running,
};

/// Signs as the public library does: secret, id, Unix seconds, body.
const SIGN: &str = "
import sys, datetime, standardwebhooks
secret, id, seconds, body = sys.argv[1:]
at = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
print(standardwebhooks.Webhook(secret).sign(id, at, body))
";

/// That of both recipes.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// How long ago something was made that the libraries call too old: they draw the line at five minutes.
const TOO_OLD: u64 = 600;

#[test]
fn the_public_library_for_python_verifies_every_event() {
    verify("Signatures in Python");
}

#[test]
fn the_public_library_for_javascript_verifies_every_event() {
    verify("Signatures in JavaScript");
}

#[test]
fn a_secret_made_as_documented_can_be_used() {
    let line = Recipe::of("Signatures").block("secret").to_owned();
    let output = Command::new("sh").args(["-c", &line]).output().unwrap();
    let secret = String::from_utf8(output.stdout).unwrap();
    let destination = FakeDestination::start(Behaviour::Ok);
    let config = custom(&destination.url()).signing_secret(secret);
    assert_eq!(begin(config), Outcome::Status(200));
    assert!(destination.requests()[0].header("webhook-signature").is_some());
}

fn verify(title: &'static str) {
    let verifier = Running::start(title);
    whole_run(verifier.recipe.settings()).assert_answered(204);
    verifier.wait_for_line(|line| line.ends_with(" end"));
    let seen: Vec<(String, String)> =
        verifier.output().iter().filter_map(|line| id_and_reason(line)).collect();
    assert_eq!(
        seen.iter().map(|(_, reason)| reason.as_str()).collect::<Vec<_>>(),
        Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>()
    );
    assert_eq!(seen.iter().map(|(id, _)| id).collect::<HashSet<_>>().len(), 4, "{seen:?}");

    let wrong = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let stranger = verifier.recipe.settings().signing_secret(wrong);
    assert_eq!(begin(stranger), Outcome::Status(401));
    let mut unsigned = verifier.recipe.settings();
    unsigned.signing_secret = None;
    assert_eq!(begin(unsigned), Outcome::Status(401));

    assert!(verifier.recipe.block("settings").contains(SECRET));
    refuses_what_was_changed(&verifier);
}

/// Sends a request of the library's again: as it was, and changed in every way that must be noticed.
fn refuses_what_was_changed(verifier: &Running) {
    let original = recorded(verifier.recipe.settings(), "/");
    let (id, signature) = (header(&original, "webhook-id"), header(&original, "webhook-signature"));
    assert_eq!(answer(verifier, &original, &[]), 204);

    let at: u64 = header(&original, "webhook-timestamp").parse().unwrap();
    assert_eq!(answer(verifier, &original, &signed_at(at + 1, &original)), 204);
    let changes: [&[(String, String)]; 6] = [
        &[replaced("\"license_valid\":true", "\"license_valid\":null")],
        &[replaced(&id, &id.replace(".1", ".2"))],
        &[replaced(&signature, "v1,AAAA")],
        &[replaced(&signature, "garbage")],
        &[replaced(&at.to_string(), &(at + 1).to_string())],
        &signed_at(at - TOO_OLD, &original),
    ];
    for change in changes {
        assert_eq!(answer(verifier, &original, change), 401, "{change:?}");
    }
    verifier.wait_for_line(|line| line.contains("refused: Message timestamp too old"));
}

/// What makes of the original a request that the public library signed at that time.
fn signed_at(seconds: u64, original: &ReceivedRequest) -> [(String, String); 2] {
    let output = Command::new(programs::python(&["standardwebhooks==1.1.0"], "python"))
        .args(["-c", SIGN, SECRET, &header(original, "webhook-id"), &seconds.to_string()])
        .arg(String::from_utf8(original.body.clone()).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let signature = String::from_utf8(output.stdout).unwrap();
    [
        replaced(&header(original, "webhook-timestamp"), &seconds.to_string()),
        replaced(&header(original, "webhook-signature"), signature.trim()),
    ]
}

fn replaced(was: &str, is: &str) -> (String, String) {
    (was.to_owned(), is.to_owned())
}

fn header(request: &ReceivedRequest, name: &str) -> String {
    request.header(name).unwrap().to_owned()
}

/// The status that the verifier answers the original with after these changes.
fn answer(verifier: &Running, original: &ReceivedRequest, changes: &[(String, String)]) -> u16 {
    let mut request = String::from_utf8(original.raw.clone()).unwrap();
    for (was, is) in changes {
        assert!(request.contains(was.as_str()), "no {was} in {request}");
        request = request.replace(was.as_str(), is);
    }
    send(verifier.port(), request.as_bytes()).0
}

fn id_and_reason(line: &str) -> Option<(String, String)> {
    let (id, reason) = line.split_once(' ')?;
    let is_an_event = Reason::ALL.iter().any(|candidate| candidate.as_str() == reason);
    is_an_event.then(|| (id.to_owned(), reason.to_owned()))
}
