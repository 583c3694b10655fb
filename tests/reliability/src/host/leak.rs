//! A host that gives its secrets away: the control that shows that a search would find them.

use std::env;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::secrets;

/// Prints every secret of the settings as it is, and as programs write such things.
pub(super) fn everything() {
    for (name, value) in
        env::vars().filter(|(name, _)| name.starts_with("SIRVEO_") || name.starts_with("HOST_"))
    {
        println!("{name}={value}");
    }
    for secret in secrets::ALL {
        let text = secret.value;
        let bytes = text.as_bytes();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        println!("{text}\n{text:?}\n{bytes:?}\n{hex}\n{}\n{percent}", hex.to_uppercase());
        for before in ["", "u:", "u"] {
            println!("{}", STANDARD.encode(format!("{before}{text}:")));
        }
    }
}
