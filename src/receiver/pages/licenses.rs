//! The page "Licenses": how many are valid, whose are not, license keys on more than one server, what was lost, and the
//! servers of a license key.

use actix_web::http::StatusCode;
use actix_web::web::{Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::changes::name;
use super::filters::NOT_ENDED;
use super::frame::{Frame, Section};
use super::page::{Refusal, key_name, query, refuse, respond, short, state};
use super::words::{count, number, shown};
use crate::receiver::api::licenses::{KeyLicensesRow, LicenseQuery, Licenses};
use crate::receiver::app::App;
use crate::receiver::http::parameters::Parameters;
use crate::receiver::http::route::Route;
use crate::receiver::store::License;

/// Number of digits of a hash that are enough to tell it from the others.
const DIGITS: usize = 12;

pub(crate) fn routes(config: &mut ServiceConfig) {
    Route::at("/licenses").get(show).compressed().mount(config);
}

#[derive(Template)]
#[template(path = "licenses.html")]
struct LicensesPage {
    frame: Frame,
    /// The first digits of the hash that is looked for.
    asked: Option<String>,
    licenses: Licenses,
    headline: String,
}

/// A number that leads to the servers that it counts.
struct LicenseCount {
    name: &'static str,
    servers: i64,
    remark: &'static str,
}

impl LicensesPage {
    fn counts(&self) -> [LicenseCount; 3] {
        let Licenses { valid, invalid, none, .. } = self.licenses;
        let of = |name, servers, remark| LicenseCount { name, servers, remark };
        [
            of("invalid", invalid, "a key that is not valid, or no longer"),
            of("none", none, "no key at all"),
            of("valid", valid, "of the servers that have not ended"),
        ]
    }

    /// What licenses that are not valid are called in a filter, and the numbers of them.
    fn not_valid(&self, key: &KeyLicensesRow) -> [(License, i64); 2] {
        [(License::Invalid, key.invalid), (License::None, key.none)]
    }
}

/// What there is to say of the licenses, in a sentence.
fn headline(licenses: &Licenses) -> String {
    let Licenses { valid, invalid, none, total, shared_total, shared, .. } = licenses;
    let most = shared.first().map(|shared| shared.servers).unwrap_or_default();
    let shared = match shared_total {
        0 => String::new(),
        1 => format!(", 1 license key is on {} servers", number(most)),
        keys => {
            format!(
                ", {} license keys are on more than one server, one of them on {}",
                number(keys),
                number(most)
            )
        }
    };
    let first = match (valid, invalid, none) {
        (0, 0, 0) if *total > 0 => return "Every server has ended".to_owned(),
        (0, 0, 0) => return "No server has reported yet".to_owned(),
        (_, 0, 0) => "Every server has a valid license".to_owned(),
        (_, 0, none) => format!("{} no license", has(*none)),
        (_, 1, _) => "1 server has an invalid license".to_owned(),
        (_, invalid, _) => format!("{} servers have an invalid license", number(invalid)),
    };
    first + &shared
}

fn has(servers: i64) -> String {
    format!("{} {}", count(servers, "server"), if servers == 1 { "has" } else { "have" })
}

/// The beginning of a hash.
fn digits(hash: &str) -> &str {
    hash.get(..DIGITS).unwrap_or(hash)
}

async fn show(app: Data<App>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ask = async {
        let asked = LicenseQuery::read(Parameters::parse(request.query_string())?.without_empty())?;
        let hash = asked.hash.clone();
        let licenses = Licenses::ask(&app, asked).await?;
        let headline = headline(&licenses);
        let frame = Frame::of(&app, Section::Licenses, 0).await;
        Ok(LicensesPage { frame, asked: hash, licenses, headline })
    };
    Ok(respond(StatusCode::OK, &ask.await.map_err(refuse(&app, 0))?))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::receiver::api::licenses::SharedRow;
    use crate::receiver::api::moment::Moment;

    fn shared(servers: i64) -> SharedRow {
        SharedRow { hash: "0a".repeat(32), servers, named: Vec::new() }
    }

    fn licenses(valid: i64, invalid: i64, none: i64, shared_total: i64) -> Licenses {
        Licenses {
            now: Moment(Timestamp::UNIX_EPOCH),
            valid,
            invalid,
            none,
            total: valid + invalid + none,
            shared_total,
            shared: (0..shared_total.min(1)).map(|_| shared(870)).collect(),
            keys_total: 0,
            keys: Vec::new(),
            lost_total: 0,
            lost: Vec::new(),
            found: None,
        }
    }

    #[test]
    fn the_first_sentence_says_what_is_not_licensed() {
        let ended = Licenses { total: 3, ..licenses(0, 0, 0, 0) };
        assert_eq!(headline(&ended), "Every server has ended");
        for ((valid, invalid, none, shared_total), sentence) in [
            ((0, 0, 0, 0), "No server has reported yet"),
            ((5, 0, 0, 0), "Every server has a valid license"),
            ((5, 0, 0, 1), "Every server has a valid license, 1 license key is on 870 servers"),
            ((5, 0, 1, 0), "1 server has no license"),
            ((5, 0, 75, 0), "75 servers have no license"),
            (
                (5, 1, 75, 3),
                "1 server has an invalid license, 3 license keys are on more than one server, one of them on 870",
            ),
            ((0, 1_041, 0, 0), "1,041 servers have an invalid license"),
        ] {
            assert_eq!(headline(&licenses(valid, invalid, none, shared_total)), sentence);
        }
        assert_eq!((digits("0123456789abcdef"), digits("0123")), ("0123456789ab", "0123"));
    }
}
