//! `boxseat offboard LOGIN --transfer-to LOGIN` (R19).
use crate::cli::{Global, OffboardArgs};
use crate::error::CommandError;
use crate::printer::Printer;

pub(crate) async fn run(
    _global: &Global,
    _args: &OffboardArgs,
    _printer: &Printer,
) -> Result<u8, CommandError> {
    Err(CommandError::usage("not yet"))
}
