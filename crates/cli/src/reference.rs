//! `gatecert completions` and `gatecert man`

use crate::Exit;
use crate::args::{Arguments, Completions, Man};
use crate::error::Failure;
use crate::output::Output;
use clap::CommandFactory as _;
use serde_json::json;

pub(crate) fn completions(arguments: &Completions, output: &Output) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "gatecert", &mut text);
    output.raw(&text);
    Ok(Exit::Done)
}

pub(crate) fn man(arguments: &Man, output: &Output) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::local("write", &error);
    let Some(dir) = &arguments.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::command()).render(&mut page).map_err(failed)?;
        output.raw(&page);
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), dir).map_err(failed)?;
    output.result(&json!({ "directory": dir }), || {
        format!("wrote the manual pages into `{}`\n", dir.display())
    });
    Ok(Exit::Done)
}
