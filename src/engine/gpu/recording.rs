//! Commands on their way to the device: passes over dispatches, copies, and the times of passes.

use std::borrow::Cow;

use super::buffer::Buffer;

/// A pipeline with its buffers and its number of workgroups: ready to be recorded any number of times.
pub(super) struct Dispatch {
    /// The kernel, and for a product its sizes.
    pub(super) name: Cow<'static, str>,
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bindings: wgpu::BindGroup,
    pub(super) workgroups: [u32; 3],
    /// Bytes of the buffers' parts that it sees.
    pub(super) bytes: u64,
}

/// Commands for the device, in order.
pub(super) struct Recording {
    pub(super) encoder: wgpu::CommandEncoder,
}

/// Where a device writes when passes begin and end.
pub(super) struct Stamps {
    pub(super) queries: wgpu::QuerySet,
    /// Two words a query.
    pub(super) times: Buffer,
    /// Microseconds of a unit of the device's clock.
    pub(super) unit: f64,
}

impl Stamps {
    /// Passes whose times fit, at once.
    pub(super) const PASSES: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
}

impl Recording {
    /// One pass over some dispatches, several times.
    pub(super) fn pass(&mut self, label: &str, dispatches: &[Dispatch], times: usize) {
        if times == 0 || dispatches.is_empty() {
            return;
        }
        let mut pass = self
            .encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(label), timestamp_writes: None });
        for _ in 0..times {
            dispatches.iter().for_each(|dispatch| dispatch.record(&mut pass));
        }
    }

    /// A pass for each dispatch, several times, and the times at which each begins and ends.
    pub(super) fn stamped_passes(&mut self, dispatches: &[Dispatch], times: usize, stamps: &Stamps) {
        let mut query = 0;
        for dispatch in (0..times).flat_map(|_| dispatches) {
            let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some(&dispatch.name),
                timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                    query_set: &stamps.queries,
                    beginning_of_pass_write_index: Some(query),
                    end_of_pass_write_index: Some(query + 1),
                }),
            });
            dispatch.record(&mut pass);
            query += 2;
        }
        self.encoder.resolve_query_set(&stamps.queries, 0..query, &stamps.times.handle, 0);
    }

    /// Copies the beginning of one buffer into another.
    pub(super) fn copy(&mut self, from: &Buffer, to: &Buffer, to_word: usize, words: usize) {
        self.encoder.copy_buffer_to_buffer(&from.handle, 0, &to.handle, to_word as u64 * 4, words as u64 * 4);
    }
}

impl Dispatch {
    fn record(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        let [x, y, z] = self.workgroups;
        pass.dispatch_workgroups(x, y, z);
    }
}
