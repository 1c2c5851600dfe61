#include "devices/virtio/vhost_user.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/thread.h"
#include "base/waiting_outside.h"

namespace armvisor::devices::virtio {
namespace {

using vhost_user::Backend;
using vhost_user::Rings;
using vhost_user::ShadowRing;

constexpr u32 k_file_system_rings = 2;  // for what is urgent, and for requests (5.11.2)
constexpr u32 k_disk_rings = 1;
constexpr u8 k_disk_error = 1;  // VIRTIO_BLK_S_IOERR

/// struct virtio_fs_config: the tag, filled up with zeros, and the number of request queues.
std::vector<u8> file_system_config(const std::string& tag) {
  std::vector<u8> config(vhost_user::k_longest_tag + sizeof(u32));
  std::copy(tag.begin(), tag.end(), config.begin());
  config[vhost_user::k_longest_tag] = k_file_system_rings - 1;
  return config;
}

/// struct fuse_in_header and fuse_out_header: the number of a request is behind its length and kind, and an answer that
/// is an error is a length, a negative errno and the number.
std::array<u8, 16> file_system_error(const Chain& chain) {
  constexpr u64 k_unique_offset = 8;
  std::array<u8, 16> out{};
  const u32 words[] = {static_cast<u32>(out.size()), static_cast<u32>(-EIO)};
  std::memcpy(out.data(), words, sizeof words);
  chain.read(k_unique_offset, std::span(out).subspan(sizeof words));
  return out;
}

}  // namespace

VhostUser::VhostUser(std::shared_ptr<Backend> backend, Rings rings, WakeEvent event)
    : backend_(std::move(backend)), event_(std::move(event)), rings_(std::move(rings)), held_(rings_.count()) {
  queue_sizes_.assign(rings_.count(), backend_->options().queue_size);
  const auto config = backend_->config();
  config_ = is_disk() ? std::vector<u8>(config.begin(), config.end()) : file_system_config(backend_->options().tag);
}

Result<std::unique_ptr<VhostUser>> VhostUser::create(std::shared_ptr<Backend> backend) {
  const bool disk = backend->options().kind == vhost_user::Kind::Disk;
  AV_TRY_ASSIGN(Rings rings, Rings::create(disk ? k_disk_rings : k_file_system_rings));
  AV_TRY_ASSIGN(WakeEvent event, WakeEvent::create("vhost-user"));
  std::unique_ptr<VhostUser> device(new VhostUser(std::move(backend), std::move(rings), std::move(event)));
  AV_TRY_ASSIGN(device->thread_, start_quiet_thread(ThreadKind::Disk, "vhost-user", [d = device.get()] { d->run(); }));
  return device;
}

VhostUser::~VhostUser() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    active_ = false;
  }
  event_.wake();
  if (thread_.joinable()) thread_.join();
}

void VhostUser::activate(u64 negotiated) {
  {
    const std::lock_guard lock(mutex_);
    negotiated_ = negotiated;
    active_ = true;
  }
  event_.wake();
}

void VhostUser::reset() {
  std::unique_lock lock(mutex_);
  active_ = false;
  if (!running_) return;
  lock.unlock();
  event_.wake();
  const WaitingOutside waiting;  // first of all: what it may wait for at its end is not under the lock
  lock.lock();
  idle_.wait(lock, [this] { return !running_; });
  lock.unlock();
}

// --- the thread

void VhostUser::wait() const {
  std::array<pollfd, 3> fds = {{{event_.fd(), POLLIN, 0},
                                {backend_->broken() ? -1 : rings_.call_fd(), POLLIN, 0},
                                {backend_->fd(), POLLIN | POLLRDHUP, 0}}};
  ::poll(fds.data(), fds.size(), -1);
  event_.take();
  rings_.take_call();
  if (fds[2].revents & (POLLRDHUP | POLLHUP | POLLERR))
    backend_->fail("the connection closed");
  else if (fds[2].revents)
    backend_->fail("words that nobody asked for");
}

void VhostUser::run() {
  for (;;) {
    wait();
    std::unique_lock lock(mutex_);
    if (active_ && !running_) {
      running_ = true;
      const u64 features = negotiated_ & backend_->features();
      lock.unlock();
      for (u32 n = 0; n < rings_.count(); ++n) rings_.at(n).reset();
      backend_->start(ram(), rings_, features);
      lock.lock();
    }
    if (running_) {
      lock.unlock();
      if (active_) serve_rings();
      lock.lock();
    }
    if (running_ && !active_) {
      lock.unlock();
      stop();
      lock.lock();
      running_ = false;
      idle_.notify_all();
    }
    if (stopping_) return;
    if (running_ != active_) event_.wake();  // it was activated or reset meanwhile
  }
}

void VhostUser::serve_rings() {
  for (u16 n = 0; n < rings_.count() && active_; ++n) {
    collect(n);
    if (!backend_->broken()) forward(n);
    if (backend_->broken()) fail_requests(n);
  }
}

/// What the program has done goes back to the guest.
void VhostUser::collect(u16 index) {
  ShadowRing& ring = rings_.at(index);
  u32 written = 0;
  while (active_ && !backend_->broken()) {
    const ShadowRing::Take taken = ring.take(used_, written);
    if (taken == ShadowRing::Take::Empty) break;
    if (taken == ShadowRing::Take::Broken) {
      backend_->fail(ring.fault());
      break;
    }
    used_.mark_written(ram(), used_.writable_bytes);
    counters_.bytes_to_guest.add(written);
    counters_.bytes_from_guest.add(used_.readable_bytes);
    complete(index, used_, written);
  }
  interrupt(index);
}

/// What the guest asks for goes to the program, as long as there is room. Which comes with what the program has done.
void VhostUser::forward(u16 index) {
  ShadowRing& ring = rings_.at(index);
  Held& held = held_[index];
  bool full = false, any = false;
  do {
    queue(index).disable_notifications();
    while (active_ && (held.full || next(index, held.chain))) {
      held.full = full = !ring.fits(held.chain);
      if (full) break;
      ring.put(held.chain);
      any = true;
    }
  } while (active_ && !full && queue(index).enable_notifications());
  if (any && ring.wants_kick()) rings_.kick(index);
}

/// Of a program that is broken: what it has, and what still comes.
void VhostUser::fail_requests(u16 index) {
  const auto fail = [&](const Chain& chain) {
    chain.mark_written(ram(), chain.writable_bytes);
    complete(index, chain, answer_failed(chain));
  };
  Held& held = held_[index];
  while (rings_.at(index).take_back(used_)) fail(used_);
  if (std::exchange(held.full, false)) fail(held.chain);
  const auto wanted = [this] { return active_.load(); };
  serve(index, used_, wanted, [this](const Chain& chain) { return std::optional(answer_failed(chain)); });
}

/// Says in a chain that its request failed. The bytes that this takes.
u32 VhostUser::answer_failed(const Chain& chain) {
  counters_.errors.add();
  if (chain.writable_bytes == 0) return 0;  // nobody waits for an answer
  if (!is_disk()) return static_cast<u32>(chain.write(ram(), 0, file_system_error(chain)));
  const u8 status[] = {k_disk_error};
  chain.write(ram(), chain.writable_bytes - 1, status);
  return static_cast<u32>(chain.writable_bytes);
}

/// The guest has no device any more: what the program may have written is told of, and nothing else.
void VhostUser::stop() {
  if (!backend_->broken()) backend_->stop(rings_);
  for (u16 n = 0; n < rings_.count(); ++n) {
    held_[n].full = false;
    while (rings_.at(n).take_back(used_)) used_.mark_written(ram(), used_.writable_bytes);
  }
}

}  // namespace armvisor::devices::virtio
