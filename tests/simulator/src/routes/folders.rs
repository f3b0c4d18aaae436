//! `/2.0/folders`: content of the caller's own account. The caller is mostly a user named by `As-User`.

use std::cmp::Ordering;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, Response, StatusCode, Uri};

use super::{Answer, Json, Params, Reply, write_entries};
use crate::auth::Caller;
use crate::content::Item;
use crate::errors::{ApiError, json_response};
use crate::page::{marker_page, offset_page, read_marker, write_marker};
use crate::shared::Shared;
use crate::wire::Object;
use crate::wire::folders::{etag, folder_fields, item_fields, write_folder, write_item, write_order};
use crate::world::World;

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Reply {
    let params = Params::of(&uri)?;
    let world = shared.world();
    let folder = folder(&world, caller, &id)?;
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some() && known.map(|known| known.trim_matches('"')) == etag(&folder) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let mut out = Vec::new();
    write_folder(&mut out, &world, caller, &folder, folder_fields(params.fields.as_deref()));
    Ok(json_response(200, out))
}

pub(super) async fn items(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Answer {
    let params = Params::of(&uri)?;
    let order = Order::of(&params)?;
    let limit = params.limit()?;
    let world = shared.world();
    let folder = folder(&world, caller, &id)?;
    let mut items = world.folder_items(caller, &folder);
    items.sort_by(|a, b| order.compare(a, b));
    let fields = item_fields(&world, params.fields.as_deref());
    let mut out = Vec::with_capacity(64 + items.len() * 300);
    let mut object = Object::new(&mut out);
    let write = |out: &mut Vec<u8>, row: usize| write_item(out, &world, &items[row], fields);
    if Params::flag("usemarker", params.usemarker.as_deref())? {
        let sent = params.marker.as_deref().unwrap_or_default();
        let mark = read_marker(&world.config, sent, shared.age_secs())
            .map_err(|_| ApiError::bad_parameter("bad_request", "marker", "invalid or expired marker"))?;
        let page = marker_page(&world.config, items.len(), |_| true, mark, limit);
        write_entries(&mut object, &world, mark.start, &page.rows, write);
        object.int("limit", limit as i64);
        match page.next {
            Some(mark) => object.text("next_marker", &write_marker(&world.config, mark, shared.age_secs())),
            None => object.null("next_marker"),
        }
    } else {
        let offset = params.offset()?;
        let page = offset_page(&world.config, (0..items.len()).map(|row| (row, true)), offset, limit);
        object.int("total_count", page.total_count as i64);
        write_entries(&mut object, &world, offset, &page.rows, write);
        object.int("limit", limit as i64);
        object.int("offset", offset as i64);
        write_order(&mut object, order.by, order.direction());
    }
    object.end();
    Ok(Json(out))
}

/// 405 for an invalid id, 404 for a folder outside the caller's access.
fn folder(world: &World, caller: Caller, id: &str) -> Result<Item, ApiError> {
    let id = id.parse().map_err(|_| ApiError::new(405, "method_not_allowed", "Invalid folder id"))?;
    world.folder(caller, id).ok_or_else(ApiError::not_found)
}

/// The order of items: folders first, then as requested.
struct Order<'a> {
    by: &'a str,
    is_descending: bool,
}

impl<'a> Order<'a> {
    fn of(params: &'a Params) -> Result<Self, ApiError> {
        let by = params.sort.as_deref().unwrap_or("name");
        if !["id", "name", "date", "size"].contains(&by) {
            return Err(ApiError::bad_parameter("invalid_parameter", "sort", "unknown order"));
        }
        let is_descending = match params.direction.as_deref() {
            None | Some("ASC") => false,
            Some("DESC") => true,
            Some(_) => {
                return Err(ApiError::bad_parameter("invalid_parameter", "direction", "ASC or DESC"));
            }
        };
        Ok(Order { by, is_descending })
    }

    fn compare(&self, a: &Item, b: &Item) -> Ordering {
        let asked = match self.by {
            "id" => a.id.cmp(&b.id),
            "date" => a.modified_at.cmp(&b.modified_at),
            "size" => a.size.cmp(&b.size),
            _ => a.name.cmp(&b.name),
        };
        let asked = if self.is_descending { asked.reverse() } else { asked };
        // The id comes last, so that pages of one order do not overlap.
        b.is_folder.cmp(&a.is_folder).then(asked).then(a.id.cmp(&b.id))
    }

    fn direction(&self) -> &'static str {
        if self.is_descending { "DESC" } else { "ASC" }
    }
}
