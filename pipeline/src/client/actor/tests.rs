use super::*;

/// Why: a gateway's page with status 200 was accepted as a deletion or as ended sessions.
#[test]
fn only_box_acknowledges_a_write() {
    for (body, is_acknowledged) in [
        ("", true),
        ("\r\n", true),
        (r#"{"message":"Request is successful, please check admin events for the status of the job"}"#, true),
        (r#"{"type":"error","status":503,"code":"unavailable"}"#, false),
        (r#"{"error":"slow_down"}"#, false),
        ("<html>Please accept the terms</html>", false),
    ] {
        assert_eq!(acknowledged(body.as_bytes()).is_ok(), is_acknowledged, "{body}");
    }
}

#[test]
fn only_equal_logins_name_an_account() {
    let body = br#"{"total_count":3,"entries":[{"id":"1","login":"JO@acme.test"},
        {"id":"2","login":"jo@acme.test.example"},{"id":"3","name":"jo@acme.test"}]}"#;
    assert_eq!(ids_of_login(body, "jo@ACME.test").unwrap(), ["1"]);
    assert!(ids_of_login(b"<html></html>", "jo@acme.test").is_err());
}

#[test]
fn returned_user_must_be_the_requested_user() {
    let body = br#"{"type":"user","id":7,"status":"active","phone":{}}"#;
    assert_eq!(user(body, Some("7")).unwrap().status.as_deref(), Some("active"));
    assert!(user(body, None).is_ok());
    assert!(matches!(user(body, Some("8")), Err(NotAPage::OtherObject(_))));
}

/// Why: a response that had lost its list of aliases, memberships or items was read as an empty list.
#[test]
fn r12_a_list_without_its_entries_is_no_empty_list() {
    for body in [&br#"{"chunk_size":0}"#[..], br#"{"limit":1000,"offset":0}"#, br#"{"total_count":3}"#] {
        assert!(aliases(body).is_err());
        assert!(GroupPage::parse(body, 0).is_err());
        assert!(ItemPage::parse(body).is_err());
        assert!(ids_of_login(body, "jo@acme.test").is_err());
    }
    for body in [&br#"{"total_count":0,"entries":[]}"#[..], br#"{"total_count":0,"entries":null}"#] {
        assert!(aliases(body).unwrap().is_empty());
        assert!(GroupPage::parse(body, 0).unwrap().group_ids.is_empty());
        assert!(ItemPage::parse(body).unwrap().items.is_empty());
    }
}
