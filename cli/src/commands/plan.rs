//! `plan`: show what a format would make, without writing anything.

use std::path::Path;

use dmverity::Plan;
use dmverity::messages::of_geometry;
use serde::Serialize;

use super::image::Geometry;
use super::shown;
use crate::arguments::{self, Planned};
use crate::failure::Result;
use crate::output::Fields;
use crate::report::Report;

/// What both forms show.
#[derive(Serialize)]
struct PlanFields {
    /// `None` if there are no data yet.
    data_device: Option<String>,
    data_bytes: u64,
    #[serde(flatten)]
    geometry: Geometry,
    /// Whether the image is one file.
    one_image: bool,
    padding_bytes: u64,
    uncovered_bytes: u64,
    /// For one image, of the whole file.
    hash_device_bytes: u64,
    /// Zero if there is none.
    fec_device_bytes: u64,
    total_bytes: u64,
}

pub(crate) fn run(arguments: &arguments::Plan) -> Result<Report> {
    let arguments::Plan { hashing, builder, data, append: one_image, fec } = arguments;
    let one_image = *one_image;
    let (hashing, builder) = (hashing.clone(), builder.clone());
    let (device, data_bytes, plan) = match data {
        Planned::Device(image) if one_image => {
            let plan = dmverity::plan_append(image, hashing, fec.appended(image).as_ref())?;
            (Some(image), plan.layout.params().data_bytes() - plan.padding_bytes, plan)
        }
        Planned::Device(device) => {
            let bytes = dmverity::device_size(device)?;
            (Some(device), bytes, Plan::new(builder, bytes).map_err(|error| error.on_device(device))?)
        }
        &Planned::Size(bytes) => {
            // What messages call it.
            let data = Path::new("data");
            let plan = if one_image {
                Plan::one_image(hashing, bytes, fec.appended(data).as_ref())
            } else {
                Plan::new(builder, bytes)
            };
            (None, bytes, plan.map_err(|error| error.on_device(data))?)
        }
    };
    let fields = PlanFields {
        data_device: device.map(|device| shown(device)),
        data_bytes,
        geometry: Geometry::new(&plan.layout, plan.fec_area.as_ref()),
        one_image,
        padding_bytes: plan.padding_bytes,
        uncovered_bytes: plan.uncovered_bytes,
        hash_device_bytes: plan.hash_device_bytes,
        fec_device_bytes: plan.fec_device_bytes,
        total_bytes: plan.total_bytes,
    };
    let mut report = Report::new(fields.text(&plan), fields);
    if plan.uncovered_bytes > 0 {
        report.warnings.push(format!("last {} bytes of data are not covered.", plan.uncovered_bytes));
    }
    Ok(report)
}

impl PlanFields {
    fn text(&self, plan: &Plan) -> String {
        let mut fields = Fields::default();
        fields.add_bytes("Data size", self.data_bytes);
        if self.padding_bytes > 0 {
            fields.add_bytes("Padding", self.padding_bytes);
        }
        let algorithm = plan.layout.params().algorithm().to_string();
        fields.add_lines(&of_geometry(&plan.layout, plan.fec_area.as_ref(), &algorithm));
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
