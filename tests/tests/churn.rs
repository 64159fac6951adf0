//! Ten thousand connections in a row leave no descriptor and no memory behind.

use tests::attack::Churn;
use tests::bounded::Watchdog;

#[test]
fn nothing_is_left() {
    let _bound = Watchdog::new();
    assert_eq!(Churn::play(10_000).judge(), Ok(()));
}
