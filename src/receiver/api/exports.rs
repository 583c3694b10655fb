//! The lists as files: all rows that match a filter, as CSV and as JSON Lines.

use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};

use super::adoption::{AdoptionQuery, BandDay};
use super::changes::{ChangePage, ChangeQuery, ChangeRow};
use super::events::{EventPage, EventQuery, EventRow};
use super::instances::{InstancePage, InstanceRow};
use super::keys::CountedKey;
use super::mutes::MuteRow;
use super::refused::{self, RefusedRow};
use super::streamed::{Format, Row, respond};
use crate::receiver::app::App;
use crate::receiver::http::parameters::{HIGHEST_LIMIT, Parameters, moment};
use crate::receiver::http::problem::Problem;
use crate::receiver::http::route::Route;
use crate::receiver::query::cursor::Cursor;
use crate::receiver::query::instances::InstanceQuery;
use crate::receiver::store::{ChangeCursor, EventCursor, InstanceCursor, LOOKED_AT, day_of};

type Answer = Result<HttpResponse, Problem>;

pub(crate) fn routes(config: &mut ServiceConfig) {
    for (suffix, format) in [("csv", Format::Csv), ("jsonl", Format::JsonLines)] {
        let path = |list: &str| Route::at(&format!("/api/{list}.{suffix}"));
        path("adoption")
            .get(move |app: Data<App>, request: HttpRequest| adoption(app, request, format))
            .mount(config);
        path("instances")
            .get(move |app: Data<App>, request: HttpRequest| instances(app, request, format))
            .mount(config);
        path("events")
            .get(move |app: Data<App>, request: HttpRequest| events(app, request, format))
            .mount(config);
        path("changes")
            .get(move |app: Data<App>, request: HttpRequest| changes(app, request, format))
            .mount(config);
        path("keys")
            .get(move |app: Data<App>, request: HttpRequest| keys(app, request, format))
            .mount(config);
        path("mutes")
            .get(move |app: Data<App>, request: HttpRequest| mutes(app, request, format))
            .mount(config);
        path("refused")
            .get(move |app: Data<App>, request: HttpRequest| refused(app, request, format))
            .mount(config);
    }
}

async fn adoption(app: Data<App>, request: HttpRequest, format: Format) -> Answer {
    let query = request.query_string().to_owned();
    respond(&request, "adoption", format, move |_| {
        let (app, query) = (app.clone(), query.clone());
        async move {
            let asked = AdoptionQuery::read(Parameters::parse(&query)?, day_of(app.now()))?;
            Ok((BandDay::all_of(&asked.ask(&app).await?), None))
        }
    })
    .await
}

async fn instances(app: Data<App>, request: HttpRequest, format: Format) -> Answer {
    let asked = InstanceQuery { limit: HIGHEST_LIMIT, ..InstanceQuery::read_list(request.query_string())? };
    respond(&request, "instances", format, move |after| {
        let (app, mut asked) = (app.clone(), asked.clone());
        async move {
            asked.after = after.as_deref().and_then(InstanceCursor::decode);
            let page = InstancePage::ask(&app, &asked).await?;
            Ok((page.instances, page.next))
        }
    })
    .await
}

async fn events(app: Data<App>, request: HttpRequest, format: Format) -> Answer {
    let mut given = Parameters::parse(request.query_string())?;
    let asked = EventQuery { limit: HIGHEST_LIMIT, ..EventQuery::take_filter(&mut given, moment)? };
    given.finish()?;
    respond(&request, "events", format, move |after| {
        let (app, mut asked) = (app.clone(), asked.clone());
        async move {
            asked.after = after.as_deref().and_then(EventCursor::decode);
            let page = EventPage::ask(&app, &asked).await?;
            Ok((page.events, page.next))
        }
    })
    .await
}

async fn changes(app: Data<App>, request: HttpRequest, format: Format) -> Answer {
    let mut given = Parameters::parse(request.query_string())?;
    let asked = ChangeQuery { limit: LOOKED_AT, ..ChangeQuery::take_filter(&mut given)? };
    given.finish()?;
    respond(&request, "changes", format, move |after| {
        let (app, mut asked) = (app.clone(), asked.clone());
        async move {
            asked.after = after.as_deref().and_then(ChangeCursor::decode);
            let page = ChangePage::ask(&app, &asked).await?;
            Ok((page.changes, page.next))
        }
    })
    .await
}

async fn keys(app: Data<App>, request: HttpRequest, format: Format) -> Answer {
    respond(&request, "keys", format, move |_| {
        let app = app.clone();
        async move { Ok((CountedKey::ask(&app).await?, None)) }
    })
    .await
}

async fn mutes(app: Data<App>, request: HttpRequest, format: Format) -> Answer {
    respond(&request, "mutes", format, move |_| {
        let app = app.clone();
        async move { Ok((MuteRow::ask(&app).await?, None)) }
    })
    .await
}

async fn refused(app: Data<App>, request: HttpRequest, format: Format) -> Answer {
    respond(&request, "refused", format, move |_| {
        let rows = refused::rows(&app);
        async move { Ok((rows, None)) }
    })
    .await
}

/// A field that may be empty.
fn or_empty<T: ToString>(value: Option<&T>) -> String {
    value.map(T::to_string).unwrap_or_default()
}

/// The names of the columns and the fields of a row, side by side.
macro_rules! columns {
    ($row:ident: $type:ty { $($name:literal: $cell:expr,)* }) => {
        impl Row for $type {
            const COLUMNS: &'static [&'static str] = &[$($name,)*];

            fn cells(&self) -> Vec<String> {
                let $row = self;
                vec![$($cell,)*]
            }
        }
    };
}

columns!(row: BandDay {
    "day": row.day.to_string(),
    "name": or_empty(row.name.as_ref()),
    "servers": row.servers.to_string(),
    "share": or_empty(row.share.as_ref()),
});

columns!(row: InstanceRow {
    "instance_id": row.instance_id.to_string(),
    "custom_id": or_empty(row.custom_id.as_ref()),
    "state": row.state.as_str().to_owned(),
    "state_since": row.state_since.to_string(),
    "first_seen_at": row.first_seen_at.to_string(),
    "last_seen_at": row.last_seen_at.to_string(),
    "frequency": row.frequency.to_string(),
    "crashed": row.flags.kept.crashed.to_string(),
    "several_runs": row.flags.kept.several_runs.to_string(),
    "cloned": row.flags.kept.cloned.to_string(),
    "restarting": row.flags.kept.restarting.to_string(),
    "new": row.flags.new.to_string(),
    "losses": row.losses.count.to_string(),
    "last_loss_at": or_empty(row.losses.last_at.as_ref()),
    "build_version": row.build_version.clone(),
    "build_commit": row.build_commit.clone(),
    "build_time": row.build_time.clone(),
    "build_mode": row.build_mode.clone(),
    "build_os": row.build_os.clone(),
    "build_arch": row.build_arch.clone(),
    "license_key_hash": or_empty(row.license_key_hash.as_ref()),
    "license_valid": row.license_valid.to_string(),
    "license": row.license.as_str().to_owned(),
    "key_id": row.key_id.to_string(),
    "key_name": or_empty(row.key_name.as_ref()),
    "product": row.product.clone(),
    "muted_until": or_empty(row.muted.as_ref().map(|muted| &muted.until)),
    "muted_reason": or_empty(row.muted.as_ref().map(|muted| &muted.reason)),
});

columns!(row: EventRow {
    "id": row.id.to_string(),
    "instance_id": row.instance_id.to_string(),
    "run_id": row.run_id.to_string(),
    "sequence": row.sequence.to_string(),
    "ts": row.ts.to_string(),
    "kind": row.kind.to_owned(),
    "type": row.type_name.to_owned(),
    "reason": row.reason.clone(),
    "key_id": row.key_id.to_string(),
    "product": row.product.clone(),
    "imported": row.imported.to_string(),
    "data": row.data.get().to_owned(),
});

columns!(row: ChangeRow {
    "at": row.at.to_string(),
    "change": row.change.to_owned(),
    "from": or_empty(row.from.as_ref()),
    "to": row.to.clone(),
    "instance_id": row.instance_id.to_string(),
    "custom_id": or_empty(row.custom_id.as_ref()),
    "key_id": row.key_id.to_string(),
    "key_name": or_empty(row.key_name.as_ref()),
});

columns!(row: CountedKey {
    "id": row.key.id.to_string(),
    "name": row.key.name.clone(),
    "signed": row.key.signed.to_string(),
    "rotating": row.key.rotating.to_string(),
    "token": row.key.token.to_string(),
    "rate": or_empty(row.key.rate.as_ref()),
    "forget_after": or_empty(row.key.forget_after.as_ref()),
    "new_per_hour": or_empty(row.key.new_per_hour.as_ref()),
    "any_frequency": row.key.any_frequency.to_string(),
    "old_until": or_empty(row.key.old_until.as_ref()),
    "created_at": row.key.created_at.to_string(),
    "last_used_at": or_empty(row.key.last_used_at.as_ref()),
    "revoked_at": or_empty(row.key.revoked_at.as_ref()),
    "servers": row.servers.to_string(),
    "refused": row.refused.to_string(),
    "down": row.states.down.to_string(),
    "late": row.states.late.to_string(),
    "up": row.states.up.to_string(),
    "ended": row.states.ended.to_string(),
});

columns!(row: MuteRow {
    "id": row.id.to_string(),
    "instance_id": or_empty(row.instance_id.as_ref()),
    "key_id": or_empty(row.key_id.as_ref()),
    "filter": or_empty(row.filter.as_ref()),
    "reason": row.reason.clone(),
    "until": row.until.to_string(),
    "created_at": row.created_at.to_string(),
    "active": row.active.to_string(),
});

columns!(row: RefusedRow {
    "at": row.at.to_string(),
    "key_id": or_empty(row.key_id.as_ref()),
    "key_name": or_empty(row.key_name.as_ref()),
    "status": row.status.to_string(),
    "cause": row.cause.to_owned(),
    "detail": row.detail.clone(),
    "field": or_empty(row.field.as_ref()),
    "product": row.product.clone(),
    "instance_id": or_empty(row.instance_id.as_ref()),
    "build_version": or_empty(row.build_version.as_ref()),
});
