//! Between the plan and the suspension.

use super::*;

/// R13: suspended, signed out, written down; a second apply has nothing to do.
#[test]
fn r13_whoever_still_qualifies_is_suspended_and_signed_out() {
    let (stage, first) = staged(Intent::default());
    let plans = stage.plan();
    assert_eq!(plans.len(), 1, "{plans:?}");
    let shown = stage.expect(&[3], &["reclaim", "apply", &plans[0]]);
    assert!(shown.stderr.contains("is not approved"), "{}", shown.stderr);
    let done = apply(&stage, &plans[0], &[0]);
    println!("{}\n{}", done.stdout, done.stderr);
    assert_eq!(outcome(&done, &first), "done");
    assert_eq!(status(&stage, &first), "inactive");
    let again = stage.expect(&[3], &["reclaim", "apply", &plans[0], "--yes"]);
    assert!(again.stderr.contains("is closed: applied"), "{}", again.stderr);
    stage.expect(&[0], &["reclaim", "verify"]);
    println!("{}", stage.expect(&[0], &["reclaim", "status"]).stdout);
    stage.judge();
}
