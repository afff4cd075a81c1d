//! An opened device: buffers, pipelines, submissions. The only place that waits for the hardware. What goes wrong on
//! the device, at once or later, is kept and comes out of the next call as an error; nothing here panics on it.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::adapters::{Adapter, Limits};
pub(super) use super::buffer::{Buffer, Part};
use super::kernels::Kernel;
use super::pipelines::{Pipeline, Pipelines};
pub(super) use super::recording::{Dispatch, Recording, Stamps};
#[cfg(test)]
use super::trouble;
use super::tuning::{NoStore, Store, Tuning};
use crate::engine::Hardware;
use crate::{Error, Result};

/// Workgroups of a dispatch in each dimension: what every backend has.
pub(super) const MOST_WORKGROUPS: u32 = 65_535;
/// Memory that a workgroup must be able to have: what the web guarantees.
pub(super) const WORKGROUP_BYTES: u32 = 16 << 10;
/// Submissions that may wait in the device's queue while the host records the next one.
const IN_FLIGHT: usize = 3;
/// How long a wait sleeps before it looks whether the device was lost.
const WAIT_SLICE: Duration = Duration::from_secs(2);
/// A submission that takes longer has hung: none is meant to take more than a fifth of a second.
const WAIT_MOST: Duration = Duration::from_secs(120);

/// The end of a message about memory: other programs may have taken it.
const GOES_ON: &str = ". A run that was saved is whole; it goes on with `gpu-mlp train --resume`, once there is memory";

/// An opened device. Kernels are checked against their buffers' ends, or trusted.
pub struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
    adapter: Adapter,
    failure: Arc<Mutex<Option<String>>>,
    pipelines: Pipelines,
    tuning: RefCell<Tuning>,
    in_flight: VecDeque<(wgpu::SubmissionIndex, usize)>,
    /// When it last worked at its full pace.
    pub(super) awake: Cell<Option<Instant>>,
    /// Names and bytes of the buffers that were made, in order.
    pub(super) made: RefCell<Vec<(String, u64)>>,
}

impl Device {
    /// Opens a device. `checked`: kernels stay within their buffers even if they are wrong, which costs speed.
    pub fn open(adapter: Adapter, checked: bool) -> Result<Self> {
        Self::open_with(adapter, checked, Box::new(NoStore))
    }

    /// Opens a device of which a store may know something.
    pub fn open_with(adapter: Adapter, checked: bool, store: Box<dyn Store>) -> Result<Self> {
        Self::open_for(adapter, checked, store, wgpu::Features::empty())
    }

    /// Opens another device on the same adapter, whose passes can be timed; `None` where the adapter has no clock for that.
    /// A device that trains never asks for it.
    pub(super) fn open_stamped(&self) -> Result<Option<Self>> {
        let clock = wgpu::Features::TIMESTAMP_QUERY;
        if !self.adapter.handle.features().contains(clock) {
            return Ok(None);
        }
        let device = Self::open_for(self.adapter.clone(), self.pipelines.checked, Box::new(NoStore), clock)?;
        device.tuning.borrow_mut().learn(&self.tuning.borrow());
        Ok(Some(device))
    }

    fn open_for(adapter: Adapter, checked: bool, store: Box<dyn Store>, features: wgpu::Features) -> Result<Self> {
        let name = adapter.name.clone();
        let Limits { storage_buffers, invocations_per_workgroup, workgroup_storage_bytes, .. } = adapter.limits;
        if storage_buffers < 8 || invocations_per_workgroup < 256 || workgroup_storage_bytes < WORKGROUP_BYTES {
            return Err(Error::Device(format!(
                "{}:{} {name} runs compute kernels with at most {storage_buffers} storage buffers, and \
                 {invocations_per_workgroup} invocations and {workgroup_storage_bytes} bytes of memory in a workgroup; 8, 256 \
                 and {WORKGROUP_BYTES} are needed. Choose another device: `gpu-mlp devices` lists them",
                adapter.backend, adapter.index,
            )));
        }
        let has = adapter.handle.limits();
        // What the web guarantees, raised to what the adapter has where a network may need more, and lowered where the
        // adapter has less of something that is not used here.
        let base = wgpu::Limits::default().or_worse_values_from(&has);
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("gpu-mlp"),
            required_features: features,
            required_limits: wgpu::Limits {
                max_storage_buffer_binding_size: adapter.limits.storage_binding_bytes,
                max_buffer_size: adapter.limits.buffer_bytes,
                max_compute_workgroup_storage_size: adapter.limits.workgroup_storage_bytes,
                ..base
            },
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = pollster::block_on(adapter.handle.request_device(&descriptor))
            .map_err(|error| Error::Device(format!("{}: the device cannot be opened: {error}", adapter.name)))?;

        let failure = Arc::new(Mutex::new(None));
        let on_error = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |error| {
            let told = told(&error);
            on_error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(told);
        }));
        let on_loss = Arc::clone(&failure);
        device.set_device_lost_callback(move |_, message| {
            // Whatever else goes wrong then follows from it. (Dropping the device is reported as its loss, too; nobody asks
            // any more.)
            let told = format!(
                "the device was lost ({message}): its driver was reset, or it was taken away. What was saved is whole; go on \
                 with `gpu-mlp train --resume`"
            );
            *on_loss.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        });
        Ok(Device {
            device,
            queue,
            tuning: RefCell::new(Tuning::of(&adapter, store)),
            adapter,
            failure,
            pipelines: Pipelines::new(checked),
            in_flight: VecDeque::new(),
            awake: Cell::default(),
            made: RefCell::default(),
        })
    }

    /// What it runs on.
    pub fn hardware(&self) -> Hardware {
        Hardware {
            device: self.adapter.name.clone(),
            backend: self.adapter.backend.to_owned(),
            driver: self.adapter.driver.clone(),
            threads: 1,
        }
    }

    /// What the adapter can hold.
    pub fn limits(&self) -> Limits {
        self.adapter.limits
    }

    /// Whether it computes on the CPU.
    pub(super) fn is_software(&self) -> bool {
        self.adapter.is_software()
    }

    /// Has the kernels that are compiled from now on run in another order, and with nonsense in their workgroups' memory.
    #[cfg(test)]
    pub(super) fn disorder(&self, disorder: super::disorder::Disorder) {
        self.pipelines.order.set(Some(disorder));
    }

    /// Takes the device away, as a driver does that crashed or a card that was pulled out.
    #[cfg(test)]
    pub(super) fn destroy(&self) {
        self.device.destroy();
    }

    /// What a test wants to go wrong when work is handed over.
    #[cfg(test)]
    fn meet_trouble(&self) {
        match trouble::at(trouble::Place::Submission) {
            None => {}
            Some(trouble::Trouble::Lost) => self.destroy(),
            Some(_) => {
                let error = wgpu::Error::OutOfMemory { source: "injected".into() };
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(told(&error));
            }
        }
    }

    /// What was chosen for this device by measuring.
    pub(super) fn choice(&self, key: &str) -> Option<String> {
        self.tuning.borrow_mut().get(key)
    }

    /// Keeps a choice for this run of the program and later ones.
    pub(super) fn choose(&self, key: &str, value: &str) {
        self.tuning.borrow_mut().set(key, value);
    }

    /// Every choice that counted so far.
    pub(super) fn choices(&self) -> Vec<String> {
        self.tuning.borrow().used()
    }

    /// The first thing that went wrong on the device, if anything did; its loss before all.
    pub(super) fn check(&self) -> Result<()> {
        let failed = self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if failed {
            self.listen();
        }
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(()),
            Some(message) => Err(Error::Device(format!("{}: {message}", self.adapter.name))),
        }
    }

    /// Lets the device tell that it is lost: it does so only to whoever waits until all else that it was given is over.
    fn listen(&self) {
        let _ = self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(WAIT_SLICE) });
    }

    /// A storage buffer of so many words, zero at first. A tensor that the device cannot hold is an error.
    pub(super) fn tensor(&self, name: &str, words: usize) -> Result<Buffer> {
        self.check_binding(name, words)?;
        self.buffer(name, words, wgpu::BufferUsages::STORAGE)
    }

    /// A storage buffer of which kernels see only parts, or which they see as uniforms.
    pub(super) fn tensors(&self, name: &str, words: usize) -> Result<Buffer> {
        self.buffer(name, words, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::UNIFORM)
    }

    /// A storage buffer with some content.
    pub(super) fn tensor_of<T: bytemuck::Pod>(&self, name: &str, values: &[T]) -> Result<Buffer> {
        let buffer = self.tensor(name, size_of_val(values) / 4)?;
        self.write(&buffer, values);
        Ok(buffer)
    }

    /// A uniform buffer with some content.
    pub(super) fn uniform<T: bytemuck::Pod>(&self, name: &str, value: &T) -> Result<Buffer> {
        self.uniform_of(name, std::slice::from_ref(value))
    }

    /// A uniform buffer with the content of a struct.
    pub(super) fn uniform_of<T: bytemuck::Pod>(&self, name: &str, values: &[T]) -> Result<Buffer> {
        let buffer = self.buffer(name, size_of_val(values) / 4, wgpu::BufferUsages::UNIFORM)?;
        self.write(&buffer, values);
        Ok(buffer)
    }

    /// Refuses a tensor that kernels could not see whole.
    pub(super) fn check_binding(&self, name: &str, words: usize) -> Result<()> {
        self.check_size(name, words, self.adapter.limits.storage_binding_bytes, "in one binding")
    }

    /// Numbers that a kernel can see at once.
    pub(super) fn binding_words(&self) -> usize {
        usize::try_from(self.adapter.limits.storage_binding_bytes / 256 * 64).unwrap_or(usize::MAX)
    }

    /// Bytes that a kernel can see as uniforms.
    pub(super) fn uniform_bytes(&self) -> u64 {
        self.device.limits().max_uniform_buffer_binding_size
    }

    fn check_size(&self, name: &str, words: usize, limit: u64, what: &str) -> Result<()> {
        let bytes = words as u64 * 4;
        if bytes <= limit {
            return Ok(());
        }
        Err(Error::Device(format!(
            "{name} needs {bytes} bytes, but {} takes at most {limit} {what}. Choose a smaller --batch or network, \
             less text, or another device (--cpu)",
            self.adapter.name
        )))
    }

    fn buffer(&self, name: &str, words: usize, usage: wgpu::BufferUsages) -> Result<Buffer> {
        // An empty tensor still needs something to bind.
        let words = words.max(4);
        self.check_size(name, words, self.adapter.limits.buffer_bytes, "in one buffer")?;
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let handle = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(name),
            size: words as u64 * 4,
            usage: usage | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let failed = pollster::block_on(scope.pop()).is_some();
        #[cfg(test)]
        let failed = failed || trouble::at(trouble::Place::Buffer).is_some();
        if failed {
            return Err(Error::Device(format!(
                "{} has no memory left for {name} ({} bytes). Choose a smaller --batch or network, or another device \
                 (--cpu){GOES_ON}",
                self.adapter.name,
                words * 4
            )));
        }
        self.made.borrow_mut().push((name.to_owned(), words as u64 * 4));
        Ok(Buffer { handle, words })
    }

    /// Writes to the beginning of a buffer, after what was submitted before and before what is submitted next.
    pub(super) fn write<T: bytemuck::Pod>(&self, buffer: &Buffer, values: &[T]) {
        self.queue.write_buffer(&buffer.handle, 0, bytemuck::cast_slice(values));
    }

    /// Compiles a kernel, once for each set of constants.
    pub(super) fn pipeline(&self, kernel: &'static Kernel, constants: &[(&str, f64)]) -> Result<Pipeline> {
        let pipeline = self.pipelines.get(&self.device, kernel, constants);
        self.check()?;
        Ok(pipeline)
    }

    /// Binds a pipeline's buffers. An error says that the sizes need more workgroups than a dispatch can have.
    pub(super) fn dispatch(&self, pipeline: &Pipeline, parts: &[Part<'_>], workgroups: [u32; 3]) -> Result<Dispatch> {
        if workgroups.iter().any(|&count| count > MOST_WORKGROUPS) {
            return Err(Error::Device(format!(
                "{} needs {workgroups:?} workgroups, but a dispatch has at most {MOST_WORKGROUPS} in a dimension. Choose \
                 a smaller --batch or network, or another device (--cpu)",
                pipeline.kernel.name
            )));
        }
        let mut entries = Vec::with_capacity(parts.len());
        for (binding, part) in (0..).zip(parts) {
            entries.push(wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: &part.buffer.handle,
                    offset: part.words.start as u64 * 4,
                    size: wgpu::BufferSize::new(part.words.len() as u64 * 4),
                }),
            });
        }
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(pipeline.kernel.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let bytes = parts.iter().map(|part| part.words.len() as u64 * 4).sum();
        let name = Cow::Borrowed(pipeline.kernel.name);
        Ok(Dispatch { name, pipeline: pipeline.pipeline.clone(), bindings, workgroups, bytes })
    }

    /// Room for the times of passes, on a device that was opened for it.
    pub(super) fn stamps(&self) -> Result<Stamps> {
        let count = wgpu::QUERY_SET_MAX_QUERIES;
        let descriptor = wgpu::QuerySetDescriptor { label: Some("times"), ty: wgpu::QueryType::Timestamp, count };
        Ok(Stamps {
            queries: self.device.create_query_set(&descriptor),
            times: self.buffer("times", 2 * count as usize, wgpu::BufferUsages::QUERY_RESOLVE)?,
            unit: f64::from(self.queue.get_timestamp_period()) / 1e3,
        })
    }

    /// Starts to record commands.
    pub(super) fn record(&self) -> Recording {
        Recording { encoder: self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: None }) }
    }

    /// Hands commands of so many steps to the device. Returns at once, unless too many submissions are waiting: then it
    /// waits for the oldest and returns the number of its steps.
    pub(super) fn submit(&mut self, recording: Recording, steps: usize) -> Result<Option<usize>> {
        #[cfg(test)]
        self.meet_trouble();
        let index = self.queue.submit([recording.encoder.finish()]);
        self.in_flight.push_back((index, steps));
        self.check()?;
        if self.in_flight.len() < IN_FLIGHT {
            return Ok(None);
        }
        let Some((oldest, steps)) = self.in_flight.pop_front() else { return Ok(None) };
        self.wait(oldest)?;
        Ok(Some(steps))
    }

    /// Has the device carry out some commands, and waits for them.
    pub(super) fn complete(&self, commands: wgpu::CommandBuffer) -> Result<()> {
        self.wait(self.queue.submit([commands]))
    }

    /// Some words of a buffer, after all that was submitted.
    pub(super) fn read<T: bytemuck::Pod>(&mut self, buffer: &Buffer, words: Range<usize>) -> Result<Vec<T>> {
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = words.len() as u64 * 4;
        let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size: bytes,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        let mut recording = self.record();
        recording.encoder.copy_buffer_to_buffer(&buffer.handle, words.start as u64 * 4, &staging, 0, bytes);
        let index = self.queue.submit([recording.encoder.finish()]);
        let (sender, receiver) = mpsc::channel();
        staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // Nobody listens any more if the wait failed.
            let _ = sender.send(result);
        });
        self.in_flight.clear();
        self.wait(index)?;
        let lost = |reason: String| Error::Device(format!("{}: results cannot be read: {reason}", self.adapter.name));
        receiver.recv_timeout(WAIT_SLICE).map_err(|e| lost(e.to_string()))?.map_err(|e| lost(e.to_string()))?;
        let view = staging.get_mapped_range(..).map_err(|error| lost(error.to_string()))?;
        Ok(bytemuck::pod_collect_to_vec(&view))
    }

    fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        let begin = Instant::now();
        loop {
            let slice = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(WAIT_SLICE) };
            let polled = self.device.poll(slice);
            self.check()?;
            match polled {
                Ok(_) => return Ok(()),
                Err(wgpu::PollError::Timeout) if begin.elapsed() < WAIT_MOST => {}
                Err(error) => {
                    // A device that is lost does not know what it was given last.
                    self.listen();
                    self.check()?;
                    return Err(Error::Device(format!(
                        "{} did not finish its work within {} s: {error}",
                        self.adapter.name,
                        begin.elapsed().as_secs()
                    )));
                }
            }
        }
    }
}

/// An error of the device, with what to do where that is known.
pub(super) fn told(error: &wgpu::Error) -> String {
    match error {
        wgpu::Error::OutOfMemory { .. } => format!(
            "out of memory on the device. Choose a smaller --batch, --hidden, --embedding or --context, or --max-vocab; \
             `gpu-mlp plan` says what a training takes{GOES_ON}"
        ),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn too_little_memory_on_the_device_says_what_to_do() {
        let message = super::told(&wgpu::Error::OutOfMemory { source: "injected".into() });
        assert!(message.contains("out of memory") && message.contains("--batch") && message.contains("gpu-mlp plan"));
    }
}
