//! The selection of instances in SQL, and the orders of a list of them.

use uuid::Uuid;

use super::builder::QueryBuilder;
use crate::receiver::store::filter::{hashes_beginning_with, ids_beginning_with};
use crate::receiver::store::{InstanceCursor, InstanceFilter, License, Sort};

/// The run by which an instance was last judged was not seen since then. An update of a steady run moves only the
/// `last_seen_at` of the run.
const IS_NOT_SEEN_SINCE: &str = "not exists (select from telemetry_run run
    where run.instance_id = telemetry_instance.instance_id and run.run_id = telemetry_instance.run_id
        and run.last_seen_at >= ";

/// A filter with the values that its conditions compare with.
pub(super) struct BoundFilter<'a> {
    filter: &'a InstanceFilter,
    contained: Option<String>,
    ids: Option<(Uuid, Uuid)>,
    hashes: Option<(String, String)>,
    any_of: Option<Vec<BoundFilter<'a>>>,
}

impl<'a> BoundFilter<'a> {
    pub(super) fn of(filter: &'a InstanceFilter) -> Self {
        let search = filter.search.as_deref();
        Self {
            filter,
            contained: search.map(str::to_lowercase),
            ids: search.and_then(ids_beginning_with),
            hashes: filter.license_hash.as_deref().map(hashes_beginning_with),
            any_of: filter.any_of.as_ref().map(|filters| filters.iter().map(Self::of).collect()),
        }
    }

    /// Adds the conditions of the filter to a query from `telemetry_instance`.
    pub(super) fn narrow<'b>(&'b self, query: &mut QueryBuilder<'b>) {
        let filter = self.filter;
        if !filter.ids.is_empty() {
            let ids = query.parameter(&filter.ids);
            query.add(&format!(" and instance_id = any({ids})"));
        }
        if !filter.states.is_empty() {
            query.add(&format!(" and state_rank in ({})", filter.ranks()));
        }
        if !filter.licenses.is_empty() {
            let licenses: Vec<&str> = filter.licenses.iter().map(|license| condition(*license)).collect();
            query.add(&format!(" and ({})", licenses.join(" or ")));
        }
        if let Some((first, last)) = &self.hashes {
            let (first, last) = (query.parameter(first), query.parameter(last));
            query.add(&format!(" and license_key_hash >= {first} and license_key_hash <= {last}"));
        }
        query.narrow("build_version = ", filter.build_version.as_ref());
        query.narrow("build_os || '/' || build_arch = ", filter.system.as_ref());
        query.narrow("key_id = ", filter.key_id.as_ref());
        query.narrow("product = ", filter.product.as_ref());
        query.narrow("release = ", filter.release.as_ref());
        // Empty until the next judgement, where an earlier version of the receiver stored it.
        query.narrow("release_key > '' and release_key < ", filter.older_than.as_ref());
        query.narrow("crashed = ", filter.crashed.as_ref());
        query.narrow("several_runs = ", filter.several_runs.as_ref());
        query.narrow("cloned = ", filter.cloned.as_ref());
        query.narrow("restarting = ", filter.restarting.as_ref());
        query.narrow("first_seen_at > ", filter.first_seen_after.as_ref());
        if let Some(before) = &filter.last_seen_before {
            let before = query.parameter(before);
            query.add(&format!(" and last_seen_at < {before} and {IS_NOT_SEEN_SINCE}{before})"));
        }
        if let Some(contained) = &self.contained {
            let contained = query.parameter(contained);
            query.add(&format!(" and (strpos(searched, {contained}) > 0"));
            if let Some((first, last)) = &self.ids {
                let (first, last) = (query.parameter(first), query.parameter(last));
                query.add(&format!(" or instance_id between {first} and {last}"));
            }
            query.add(")");
        }
        if let Some(filters) = &self.any_of {
            query.add(" and (false");
            for filter in filters {
                query.add(" or (true");
                filter.narrow(query);
                query.add(")");
            }
            query.add(")");
        }
    }
}

fn condition(license: License) -> &'static str {
    match license {
        License::Valid => "license_valid",
        License::Invalid => "(not license_valid and license_key_hash is not null)",
        License::None => "(not license_valid and license_key_hash is null)",
    }
}

/// What a list is ordered by.
pub(super) fn order(sort: Sort) -> &'static str {
    match sort {
        Sort::Worst => "state_rank, state_since desc, instance_id",
        Sort::Silent => "state_rank, state_since, instance_id desc",
        Sort::Name => "searched collate \"C\" nulls last, instance_id",
        Sort::Version => "release_key, instance_id",
        Sort::FirstSeen => "first_seen_at desc, instance_id desc",
    }
}

/// Adds the condition that an instance comes after the last one of the page before.
pub(super) fn begin_after<'a>(query: &mut QueryBuilder<'a>, after: &'a InstanceCursor) {
    match after {
        InstanceCursor::Worst(state, since, id) => {
            let rank = state.rank();
            let (since, id) = (query.parameter(since), query.parameter(id));
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since < {since}
                  or (state_since = {since} and instance_id > {id}))"
            ));
        }
        InstanceCursor::Silent(state, since, id) => {
            let rank = state.rank();
            let (since, id) = (query.parameter(since), query.parameter(id));
            query.add(&format!(
                " and state_rank >= {rank} and (state_rank > {rank} or state_since > {since}
                  or (state_since = {since} and instance_id < {id}))"
            ));
        }
        InstanceCursor::Name(Some(name), id) => {
            let (name, id) = (query.parameter(name), query.parameter(id));
            query.add(&format!(
                " and (searched is null or (searched collate \"C\", instance_id) > ({name}, {id}))"
            ));
        }
        InstanceCursor::Name(None, id) => {
            let id = query.parameter(id);
            query.add(&format!(" and searched is null and instance_id > {id}"));
        }
        InstanceCursor::Version(key, id) => {
            let (key, id) = (query.parameter(key), query.parameter(id));
            query.add(&format!(" and (release_key, instance_id) > ({key}, {id})"));
        }
        InstanceCursor::FirstSeen(at, id) => {
            let (at, id) = (query.parameter(at), query.parameter(id));
            query.add(&format!(" and (first_seen_at, instance_id) < ({at}, {id})"));
        }
    }
}
