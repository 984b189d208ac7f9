//! tmp
use super::*;
/// tmp
pub fn place(_q: &Question<'_>, _c: &crate::cluster::Cluster) -> Result<Placement, Vec<Refusal>> {
    Ok(Placement::default())
}
