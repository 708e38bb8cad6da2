//! `plan`: show what a format would make, and touch nothing.

use std::path::Path;

use dmverity::{ParamsBuilder, Plan};
use serde::Serialize;

use super::image::Geometry;
use super::shown;
use crate::arguments::Arguments;
use crate::failure::{Failure, Result};
use crate::output::Fields;
use crate::report::Report;

/// What both forms show.
#[derive(Serialize)]
struct PlanFields {
    /// `None` where there are no data yet.
    data_device: Option<String>,
    data_bytes: u64,
    #[serde(flatten)]
    geometry: Geometry,
    /// Whether all is one file.
    one_image: bool,
    padding_bytes: u64,
    uncovered_bytes: u64,
    /// Of one image, all of it.
    hash_device_bytes: u64,
    /// Zero where there is none.
    fec_device_bytes: u64,
    total_bytes: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let builder = arguments.params()?;
    let device = arguments.text(0).map(|_| arguments.path(0));
    let blocks = arguments.number("data-blocks")?.filter(|&blocks| blocks > 0);
    let one_image = arguments.flag("append");
    let size = arguments.number("data-size")?;
    let together = |second| Failure::usage(format!("Option --data-size and {second} cannot be used together."));
    let (data_bytes, plan) = match (device, size, blocks) {
        (Some(_), Some(_), _) => return Err(together("<data_device>")),
        (None, Some(_), Some(_)) => return Err(together("--data-blocks")),
        (None, None, None) => {
            return Err(Failure::usage("plan: requires <data_device>, --data-size or --data-blocks"));
        }
        (Some(_), None, Some(_)) if one_image => {
            return Err(Failure::usage("Option --append and --data-blocks cannot be used together."));
        }
        (Some(image), None, None) if one_image => {
            let plan = dmverity::plan_append(image, builder, arguments.appended_fec(image)?.as_ref())?;
            (plan.layout.params().data_bytes() - plan.padding_bytes, plan)
        }
        (Some(device), None, _) => {
            let bytes = dmverity::device_size(device)?;
            (bytes, Plan::new(builder, device, bytes)?)
        }
        (None, Some(bytes), None) => (bytes, of_size(arguments, builder, bytes)?),
        (None, None, Some(blocks)) => {
            // Refused below where it is more than a device can hold.
            let bytes = arguments.data_block_size()?.bytes().saturating_mul(blocks);
            (bytes, of_size(arguments, builder, bytes)?)
        }
    };
    let fields = PlanFields {
        data_device: device.map(shown),
        data_bytes,
        geometry: Geometry::new(&plan.layout, plan.fec_area.as_ref()),
        one_image,
        padding_bytes: plan.padding_bytes,
        uncovered_bytes: plan.uncovered_bytes,
        hash_device_bytes: plan.hash_device_bytes,
        fec_device_bytes: plan.fec_device_bytes,
        total_bytes: plan.total_bytes,
    };
    let mut report = Report::new(fields.text(), fields);
    if plan.uncovered_bytes > 0 {
        report.warnings.push(format!("last {} bytes of data are not covered.", plan.uncovered_bytes));
    }
    Ok(report)
}

fn of_size(arguments: &Arguments, builder: ParamsBuilder, bytes: u64) -> Result<Plan> {
    let data = Path::new("data");
    Ok(if arguments.flag("append") {
        Plan::one_image(builder, data, bytes, arguments.appended_fec(data)?.as_ref())?
    } else {
        Plan::new(builder, data, bytes)?
    })
}

impl PlanFields {
    fn text(&self) -> String {
        let mut fields = Fields::default();
        fields.add_bytes("Data size", self.data_bytes);
        if self.padding_bytes > 0 {
            fields.add_bytes("Padding", self.padding_bytes);
        }
        self.geometry.add_to(&mut fields);
        self.geometry.add_offsets_to(&mut fields);
        if self.one_image {
            fields.add_bytes("Image size", self.hash_device_bytes);
        } else {
            fields.add_bytes("Hash device size", self.hash_device_bytes);
        }
        if self.fec_device_bytes > 0 {
            fields.add_bytes("FEC device size", self.fec_device_bytes);
        }
        fields.add_bytes("Total size", self.total_bytes);
        fields.into_text()
    }
}
