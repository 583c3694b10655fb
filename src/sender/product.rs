//! The host's name, and what follows from it.

use std::fmt;

/// The name of the host, as its vendor calls it.
///
/// It gives the prefix of the environment variables and the user agent:
/// `Product::new("Sirveo")` reads `SIRVEO_TELEMETRY_*` and sends `User-Agent: Sirveo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product(String);

impl Product {
    /// Takes the name as it is; [`start`](crate::TelemetryBuilder::start) refuses one that cannot be
    /// a user agent (it must be visible ASCII and hold a letter or a digit).
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as it was given; it is the user agent.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The name of the environment variable `suffix`: `TELEMETRY_MODE` becomes `SIRVEO_TELEMETRY_MODE`.
    ///
    /// Letters are in upper case, everything but ASCII letters and digits becomes `_`.
    pub fn variable(&self, suffix: &str) -> String {
        let prefix: String = self
            .0
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        format!("{prefix}_{suffix}")
    }

    pub(crate) fn is_usable(&self) -> bool {
        let visible = |b: u8| b.is_ascii_graphic() || b == b' ';
        self.0.bytes().all(visible)
            && self.0.trim() == self.0
            && self.0.bytes().any(|b| b.is_ascii_alphanumeric())
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_carry_the_product_in_upper_case() {
        assert_eq!(Product::new("Sirveo").variable("TELEMETRY_MODE"), "SIRVEO_TELEMETRY_MODE");
        assert_eq!(Product::new("my-app 2").variable("TELEMETRY_URL"), "MY_APP_2_TELEMETRY_URL");
    }

    #[test]
    fn a_name_that_cannot_be_a_header_is_not_usable() {
        for name in ["", " ", "--", "a\nb", "Žluť", " Sirveo"] {
            assert!(!Product::new(name).is_usable(), "{name:?}");
        }
        assert!(Product::new("Sirveo Server/2").is_usable());
    }
}
