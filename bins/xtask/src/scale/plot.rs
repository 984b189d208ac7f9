//! A plot of Certificates that are ready over time.

use anyhow::{Context as _, Result};
use plotters::prelude::*;
use std::path::Path;
use std::time::Duration;

/// The size of a plot.
const SIZE: (u32, u32) = (720, 400);

/// Writes the plot as `ready-N-certificates-M-names.svg`.
pub(super) fn write(folder: &Path, count: usize, names: usize, ready: &[Duration]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} can not be made", folder.display()))?;
    let path = folder.join(format!("ready-{count}-certificates-{names}-names.svg"));
    let area = SVGBackend::new(&path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let last = ready.last().map_or(1.0, Duration::as_secs_f64);
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("{count} Certificates of {names} name(s), created at once"), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..last * 1.02, 0..count)?;
    chart.configure_mesh().x_desc("seconds").y_desc("ready").draw()?;
    let steps = ready.iter().enumerate().map(|(before, at)| (at.as_secs_f64(), before + 1));
    chart.draw_series(LineSeries::new(std::iter::once((0.0, 0)).chain(steps), BLUE.stroke_width(2)))?;
    area.present()?;
    eprintln!("{}", path.display());
    Ok(())
}
