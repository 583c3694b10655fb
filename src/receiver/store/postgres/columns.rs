//! Many rows as one list for each column, the form in which a statement takes any number of rows.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::receiver::store::Facts;
use crate::receiver::store::facts::FACTS;

/// Types of the columns [`FACTS`].
pub(super) const FACT_TYPES: [&str; FACTS.len()] =
    ["text", "text", "text", "text", "text", "text", "text", "boolean", "text", "uuid", "text"];

/// The rows of which the parameters from `$first` on are the columns, of these types.
pub(super) fn unnest<'a>(first: usize, types: impl IntoIterator<Item = &'a str>) -> String {
    let parameters: Vec<String> =
        types.into_iter().zip(first..).map(|(kind, number)| format!("${number}::{kind}[]")).collect();
    format!("unnest({})", parameters.join(", "))
}

/// [`Facts`] of many rows, one list for each of the columns [`FACTS`].
#[derive(Default)]
pub(super) struct FactColumns<'a> {
    texts: [Vec<&'a str>; 6],
    license_key_hash: Vec<Option<&'a str>>,
    license_valid: Vec<bool>,
    custom_id: Vec<Option<&'a str>>,
    key_id: Vec<Uuid>,
    product: Vec<&'a str>,
}

impl<'a> FactColumns<'a> {
    pub(super) fn of(facts: impl Iterator<Item = &'a Facts>) -> Self {
        let mut columns = Self::default();
        for facts in facts {
            let texts = [
                &facts.build_version,
                &facts.build_commit,
                &facts.build_time,
                &facts.build_mode,
                &facts.build_os,
                &facts.build_arch,
            ];
            columns.texts.iter_mut().zip(texts).for_each(|(column, text)| column.push(text));
            columns.license_key_hash.push(facts.license_key_hash.as_deref());
            columns.license_valid.push(facts.license_valid);
            columns.custom_id.push(facts.custom_id.as_deref());
            columns.key_id.push(facts.key_id);
            columns.product.push(&facts.product);
        }
        columns
    }

    /// The lists, in the order of the columns.
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut parameters: Vec<&(dyn ToSql + Sync)> = self.texts.iter().map(|text| text as _).collect();
        parameters.extend([
            &self.license_key_hash as &(dyn ToSql + Sync),
            &self.license_valid,
            &self.custom_id,
            &self.key_id,
            &self.product,
        ]);
        parameters
    }
}

/// One field of many rows.
pub(super) fn column<'a, R, T>(rows: &'a [R], field: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}
