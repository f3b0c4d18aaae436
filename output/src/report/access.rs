//! `access`: the users, their roles, the groups that give them access, and whether they still sign in.

use super::ask::Scope;
use super::model::{Body, Report, Section, Table, Value, ValueKind};
use super::source::Source;
use super::{column, headline, note, row_keys, section};
use crate::Result;

pub(super) fn report(source: &Source, scope: &Scope) -> Result<Report> {
    // A table instead of the view, because two sections read it and the view reads all memberships.
    source.run("CREATE OR REPLACE TEMP TABLE report_groups AS SELECT * FROM group_health")?;
    let people = people(source)?;
    let admins = dormant_admins(source)?;
    let empty = groups_without_members(source)?;
    let synced = synced_groups(source)?;
    let rows = |section: &Section| match &section.body {
        Body::Table(table) => Value::Count(i64::try_from(table.rows.len()).unwrap_or(i64::MAX)),
        Body::Figures(_) => Value::Unknown,
    };
    let of_role = |role: &str| {
        let sql = format!(
            "SELECT count(*) FROM report_accounts WHERE account_status <> 'deprovisioned' AND role {role}"
        );
        source.count(&sql).map(super::count)
    };
    let figures = vec![
        headline(
            "accounts",
            "Accounts",
            rows(&people),
            "Accounts that exist at Box, including accounts of applications.",
        ),
        headline(
            "admins",
            "Admins",
            of_role("IN ('admin', 'coadmin')")?,
            "Of these, admin or co-admin of the enterprise.",
        ),
        headline(
            "dormant_admins",
            "Dormant admins",
            rows(&admins),
            "Admins and co-admins who are suspended or provably do not use their account.",
        ),
        headline(
            "groups_without_active_member",
            "Groups without an active member",
            rows(&empty),
            "Empty groups, and groups whose members are all suspended or provably do not use their account.",
        ),
        headline(
            "synced_groups",
            "Synced groups",
            rows(&synced),
            "Groups that another directory manages. Change them there, not in Box.",
        ),
    ];
    let mut notices = vec![note(
        "Not covered: collaborations and shared links, external collaborators, content nested in folders. A user without a group may still have access through them.",
    )];
    if !scope.is_everybody {
        notices
            .push(note("The tables about groups include all groups and members, whatever the filters are."));
    }
    Ok(Report {
        name: "access",
        title: "Access".to_owned(),
        question: "Which role and groups does each user have, and does the user still sign in?".to_owned(),
        snapshot: source.snapshot().clone(),
        notices,
        filters: Vec::new(),
        sections: vec![
            section("summary", "In short", None, Body::Figures(figures)),
            people,
            admins,
            empty,
            synced,
        ],
    })
}

fn people(source: &Source) -> Result<Section> {
    let columns = vec![
        column("login", "Login", ValueKind::Text),
        column("name", "Name", ValueKind::Text),
        column("role", "Role", ValueKind::Text),
        column("group_count", "Groups", ValueKind::Count),
        column("account_status", "Status", ValueKind::Text),
        column("last_login_at", "Last sign-in", ValueKind::Time),
        column("seat_kind", "Kind", ValueKind::Text),
        column("seat_state", "State", ValueKind::Text),
        column("group_names", "In groups", ValueKind::Text),
        column("groups_administered_count", "Admin of groups", ValueKind::Count),
        column("alias_count", "Aliases", ValueKind::Count),
        column("aliases", "Alias addresses", ValueKind::Text),
        column("memberships_read_at", "Groups read", ValueKind::Time),
        column("user_id", "User id", ValueKind::Text),
        column("row_key", "Row key", ValueKind::Text),
    ];
    // Each list is built and then sorted once. An ordered aggregate took twice the time of all other work.
    let rows = source.rows(
        &columns,
        "SELECT
            people.*,
            found.group_names,
            coalesce(found.groups_administered_count, 0) AS groups_administered_count,
            known.aliases,
            CAST(NULL AS VARCHAR) AS row_key
        FROM report_accounts AS people
        LEFT JOIN (
            SELECT
                members.user_id,
                array_to_string(list_sort(list(coalesce(groups.name, groups.group_id))), '; ') AS group_names,
                count(*) FILTER (WHERE members.is_admin) AS groups_administered_count
            FROM (
                SELECT user_id, group_id, coalesce(bool_or(role = 'admin'), FALSE) AS is_admin
                FROM memberships GROUP BY user_id, group_id
            ) AS members
            JOIN groups ON groups.group_id = members.group_id
            GROUP BY members.user_id
        ) AS found ON found.user_id = people.user_id
        LEFT JOIN (
            SELECT user_id, array_to_string(list_sort(list(email)), '; ') AS aliases FROM email_aliases GROUP BY user_id
        ) AS known ON known.user_id = people.user_id
        WHERE people.account_status <> 'deprovisioned'
        ORDER BY
            CASE people.role WHEN 'admin' THEN 1 WHEN 'coadmin' THEN 2 ELSE 3 END,
            people.login,
            people.user_id",
    )?;
    let rows = row_keys(rows, &columns);
    let note = "Admins first. Memberships and aliases are as they were last read.";
    let table = Table { columns, rows, chart: None, names_people: true };
    Ok(section("people", "People", Some(note.to_owned()), Body::Table(table)))
}

fn dormant_admins(source: &Source) -> Result<Section> {
    let columns = vec![
        column("login", "Login", ValueKind::Text),
        column("role", "Role", ValueKind::Text),
        column("seat_state", "State", ValueKind::Text),
        column("proven_idle_days", "Idle days", ValueKind::Days),
        column("last_activity_at", "Last use", ValueKind::Time),
        column("groups_administered_count", "Admin of groups", ValueKind::Count),
        column("name", "Name", ValueKind::Text),
        column("user_id", "User id", ValueKind::Text),
        column("row_key", "Row key", ValueKind::Text),
    ];
    let rows = source.rows(
        &columns,
        "SELECT admins.*, CAST(NULL AS VARCHAR) AS row_key
        FROM dormant_admins AS admins SEMI JOIN report_accounts ON report_accounts.user_id = admins.user_id
        ORDER BY admins.role, admins.proven_idle_days DESC NULLS LAST, admins.user_id",
    )?;
    let rows = row_keys(rows, &columns);
    let table = Table { columns, rows, chart: None, names_people: true };
    Ok(section("dormant_admins", "Dormant admins", None, Body::Table(table)))
}

fn groups_without_members(source: &Source) -> Result<Section> {
    let columns = vec![
        column("name", "Group", ValueKind::Text),
        column("concern", "Concern", ValueKind::Text),
        column("members_count", "Members", ValueKind::Count),
        column("suspended_count", "Suspended", ValueKind::Count),
        column("not_used_count", "Idle", ValueKind::Count),
        column("last_activity_at", "Last use", ValueKind::Time),
        column("group_id", "Group id", ValueKind::Text),
    ];
    let rows = source.rows(
        &columns,
        "SELECT * FROM report_groups WHERE concern IN ('empty', 'nobody_active', 'nobody_uses_it') ORDER BY name, group_id",
    )?;
    let note = "empty: the group has no members. nobody_active: all members are suspended. nobody_uses_it: all members are suspended or provably idle.";
    let table = Table { columns, rows, chart: None, names_people: false };
    Ok(section(
        "groups_without_active_member",
        "Groups without an active member",
        Some(note.to_owned()),
        Body::Table(table),
    ))
}

fn synced_groups(source: &Source) -> Result<Section> {
    let columns = vec![
        column("name", "Group", ValueKind::Text),
        column("provenance", "Managed by", ValueKind::Text),
        column("members_count", "Members", ValueKind::Count),
        column("external_sync_identifier", "External id", ValueKind::Text),
        column("group_id", "Group id", ValueKind::Text),
    ];
    let rows = source.rows(
        &columns,
        "SELECT groups.*, report_groups.members_count
        FROM groups LEFT JOIN report_groups ON report_groups.group_id = groups.group_id
        WHERE groups.provenance IS NOT NULL OR groups.external_sync_identifier IS NOT NULL
        ORDER BY groups.name, groups.group_id",
    )?;
    let table = Table { columns, rows, chart: None, names_people: false };
    Ok(section("synced_groups", "Groups managed by another directory", None, Body::Table(table)))
}
