//! Servers that send markup, scripts and invisible characters in every field that is text.

use uuid::Uuid;

use crate::past::{Build, DAY, HOUR, License, MINUTE, Past, Run, Server};

/// What would run, or become an element, an attribute or a link, where a page forgot to escape it. The tests in the
/// browser look for `pwned`.
pub(crate) const PAYLOADS: [&str; 16] = [
    "<script>window.pwned=1</script>",
    "\"><img src=x id=pwned onerror=window.pwned=1>",
    "'><svg id=pwned onload=window.pwned=1>",
    "</title><script>window.pwned=1</script>",
    "</style><img id=pwned src=x onerror=window.pwned=1>",
    "</bdi></td></table><a id=pwned href=javascript:window.pwned=1>x</a>",
    "\" onmouseover=\"window.pwned=1\" id=\"pwned",
    "' autofocus onfocus='window.pwned=1' id='pwned",
    "javascript:window.pwned=1//",
    "&lt;img id=pwned src=x onerror=window.pwned=1&gt;",
    "<!--><img id=pwned src=x onerror=window.pwned=1>-->",
    "<a href=\"//pwned.example/\" id=pwned>click</a>",
    "{{7*7}}${7*7}<%=7*7%>#{7*7}",
    "<iframe srcdoc='<script>top.pwned=1</script>'>",
    "<meta http-equiv=refresh content=0;url=//pwned.example>",
    "<form action=//pwned.example id=pwned><input name=a>",
];

/// Characters that are not seen or turn around what follows.
pub(crate) const INVISIBLE: [&str; 6] = [
    "\u{202e}exe.gpj",
    "\u{2066}a\u{2067}b\u{2069}\u{2069}",
    "zero\u{200b}width\u{200d}joined\u{2060}\u{feff}",
    "soft\u{ad}hyphen \u{61c}\u{200e}\u{200f}",
    "tag\u{e0041}\u{e0042}\u{e007f} \u{180e}",
    "line\u{2028}paragraph\u{2029}end",
];

/// Tells of one server for each of the texts above, which has it in every field.
pub(crate) fn hostile() -> Past {
    let texts = PAYLOADS.iter().chain(&INVISIBLE);
    let servers: Vec<Server> = texts.clone().zip(1..).map(|(text, number)| server(text, number)).collect();
    // A receiver may refuse names with invisible characters.
    let keys = PAYLOADS.iter().map(|text| (*text).to_owned()).collect();
    let mutes = servers.iter().zip(texts).take(PAYLOADS.len());
    let mutes = mutes.map(|(server, text)| (server.id, DAY, (*text).to_owned())).collect();
    Past { keys, servers, mutes, together: HOUR }
}

fn server(text: &str, number: u32) -> Server {
    let build = Build { version: text.to_owned(), commit: text.to_owned(), age: 30 * DAY };
    let began = 9 * DAY + i64::from(number) * MINUTE;
    Server {
        id: Uuid::from_u128(0x1000_0000_4000_8000_0000_0000_0000_0000 + (u128::from(number) << 100)),
        name: Some(text.to_owned()),
        key: (number as usize - 1) % PAYLOADS.len(),
        // Its first token alone is taken, to the first blank or slash.
        product: text.chars().filter(|c| c.is_ascii_graphic() && *c != '/').collect(),
        mode: text.to_owned(),
        os: text.to_owned(),
        arch: text.to_owned(),
        every: DAY,
        licenses: (License::Valid("hostile"), vec![(DAY + 2 * HOUR, License::Invalid("hostile"))]),
        runs: vec![
            Run { build: build.clone(), began, heard: 3 * DAY, stopped: number.is_multiple_of(2) },
            Run { build, began: 2 * DAY, heard: i64::from(number) * HOUR, stopped: number.is_multiple_of(5) },
        ],
        reason: Some(text.chars().take(40).collect()),
    }
}
