//! The name of the host, which prefixes its variables and is its user agent.

use std::fmt;

/// Name of the host product.
///
/// The name gives the prefix of the environment variables and the user agent: with `Product::new("Sirveo")`
/// the subsystem reads `SIRVEO_TELEMETRY_*` and sends `User-Agent: Sirveo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product(String);

impl Product {
    /// Creates a product from its name.
    ///
    /// The name must be usable as a user agent: visible ASCII characters and blanks, with at least one letter or
    /// digit and without a blank at either end. [`start`](crate::TelemetryBuilder::start) reports any other name as a problem.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Name as it was given, which is also the user agent.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Name of an environment variable of this product: the product's name, `_` and `suffix`.
    ///
    /// In the product's name, letters become upper case and every character other than an ASCII letter or digit
    /// becomes `_`. The suffix stays as it is.
    ///
    /// ```
    /// use deployment_telemetry::Product;
    ///
    /// assert_eq!(Product::new("Sirveo").variable("TELEMETRY_MODE"), "SIRVEO_TELEMETRY_MODE");
    /// assert_eq!(Product::new("my-app 2").variable("PORT"), "MY_APP_2_PORT");
    /// ```
    pub fn variable(&self, suffix: &str) -> String {
        let prefix: String = self
            .0
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        format!("{prefix}_{suffix}")
    }

    /// Whether the name can be sent as a user agent and gives variables a prefix.
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
    fn variables_start_with_the_product_in_upper_case() {
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
