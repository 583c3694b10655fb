//! SQL that a distributed PostgreSQL can route to one shard.

/// A statement in two forms.
///
/// A distributed PostgreSQL finds the shard of a statement only if every table in it that is distributed is compared
/// with the ids of the instances themselves; a comparison with another table's column is not enough. On any other
/// PostgreSQL these conditions would select nothing and cost time.
#[derive(Debug)]
pub(super) struct RoutedSql {
    usual: String,
    distributed: String,
}

impl RoutedSql {
    /// The statement `text`, in which `«` and `»` enclose what is said to a distributed PostgreSQL alone.
    pub(super) fn new(text: &str) -> Self {
        let mut usual = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('«') {
            usual.push_str(before);
            rest = after.split_once('»').map_or("", |(_, after)| after);
        }
        usual.push_str(rest);
        Self { usual, distributed: text.replace(['«', '»'], "") }
    }

    /// A statement whose two forms are different.
    pub(super) fn either(usual: String, distributed: String) -> Self {
        Self { usual, distributed }
    }

    /// The form for a PostgreSQL that is distributed, or not.
    pub(super) fn form(&self, is_distributed: bool) -> &str {
        if is_distributed { &self.distributed } else { &self.usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_for_the_routing_is_left_out_elsewhere() {
        let sql = RoutedSql::new("select « 1 and » 2 where a = b« and a = any($1)»");
        assert_eq!(sql.form(false), "select  2 where a = b");
        assert_eq!(sql.form(true), "select  1 and  2 where a = b and a = any($1)");
        assert_eq!(RoutedSql::new("select").form(false), "select");
    }
}
