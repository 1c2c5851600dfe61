#include "devices/virtio/vsock.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/thread.h"

namespace armvisor::devices::virtio {
namespace {

constexpr std::array<u16, 3> k_queue_sizes = {128, 128, 128};
constexpr u16 k_receive = 0, k_transmit = 1;  // the third one is for events, of which there are none here
constexpr u32 k_packets_a_turn = 256;         // after which who wants to reset the device has its chance

/// What lies behind the header in a chain's buffers.
void list_data(std::vector<iovec>& to, const std::vector<Segment>& from, u64 most) {
  to.clear();
  u64 skip = vsock::k_header_bytes;
  for (const Segment& s : from) {
    const u64 header = std::min<u64>(skip, s.length), bytes = std::min<u64>(s.length - header, most);
    skip -= header;
    most -= bytes;
    if (bytes) to.push_back({s.host + header, bytes});
  }
}

}  // namespace

Result<std::unique_ptr<Vsock>> Vsock::create(std::shared_ptr<vsock::HostSocket> host) {
  AV_TRY_ASSIGN(auto switchboard, vsock::Switchboard::create(std::move(host)));
  AV_TRY_ASSIGN(WakeEvent event, WakeEvent::create("vsock"));
  std::unique_ptr<Vsock> device(new Vsock(std::move(switchboard), std::move(event)));
  AV_TRY_ASSIGN(device->thread_, start_quiet_thread(ThreadKind::Vsock, "vsock", [d = device.get()] { d->run(); }));
  return device;
}

Vsock::~Vsock() {
  stopping_ = true;
  event_.wake();
  if (thread_.joinable()) thread_.join();
}

std::span<const u16> Vsock::queue_sizes() const { return k_queue_sizes; }
u16 Vsock::request_queue() const { return k_transmit; }

/// struct virtio_vsock_config: the guest's CID.
void Vsock::read_config(u32 offset, std::span<u8> out) {
  const u64 cid = switchboard_->cid();
  copy_config({reinterpret_cast<const u8*>(&cid), sizeof cid}, offset, out);
}

void Vsock::activate(u64) {
  {
    const std::lock_guard lock(mutex_);
    switchboard_->open();
    active_ = true;
  }
  event_.wake();
}

void Vsock::reset() {
  active_ = false;  // so that the thread comes to an end
  const std::lock_guard lock(mutex_);
  switchboard_->close();
  held_ = false;
}

void Vsock::run() {
  bool more = false;
  int patience = -1;
  while (!stopping_) {
    std::array<pollfd, 2> fds = {{{event_.fd(), POLLIN, 0}, {switchboard_->fd(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), more ? 0 : patience);
    event_.take();
    const std::lock_guard lock(mutex_);
    more = active_ && serve_both();
    patience = active_ ? switchboard_->patience_ms() : -1;
  }
}

/// True: there is more to do than is done in a turn.
bool Vsock::serve_both() {
  switchboard_->look();
  budget_ = k_packets_a_turn;
  const auto wanted = [this] { return active_ && budget_ > 0 && switchboard_->has_room(); };
  serve(k_transmit, from_guest_, wanted, [this](const Chain& chain) { return receive(chain); });
  const bool was_full = !switchboard_->has_room(), cut = budget_ == 0;
  budget_ = k_packets_a_turn;
  const bool more = send();
  return active_ && (cut || more || (was_full && switchboard_->has_room()));
}

/// A packet of the guest's.
std::optional<u32> Vsock::receive(const Chain& chain) {
  --budget_;
  vsock::HeaderBytes bytes;
  if (chain.read(0, bytes) != bytes.size()) return std::nullopt;
  vsock::Header header = vsock::read_header(bytes);
  if (header.op != vsock::Op::ReadWrite) header.len = 0;
  if (header.len > chain.readable_bytes - bytes.size()) return std::nullopt;
  list_data(data_, chain.readable, header.len);
  if (!switchboard_->take(header, data_)) counters_.errors.add();
  counters_.bytes_from_guest.add(header.len);
  return 0;
}

/// Packets for the guest, as long as there are buffers. True: there are more of both.
bool Vsock::send() {
  bool starved;
  queue(k_receive).disable_notifications();
  do {
    starved = false;
    while (active_ && budget_ > 0 && switchboard_->has_packet())
      if ((starved = !send_one())) break;
  } while (starved && queue(k_receive).enable_notifications());
  if (queue(k_receive).take_interrupt()) host().used_buffers(k_receive);
  return !starved && switchboard_->has_packet();
}

/// False: there is no buffer.
bool Vsock::send_one() {
  if (!held_ && !next(k_receive, to_guest_)) return false;
  held_ = true;
  if (to_guest_.writable_bytes <= vsock::k_header_bytes) {
    malformed(k_receive);
    held_ = false;
    return false;
  }
  --budget_;
  list_data(data_, to_guest_.writable, ~u64{0});
  const auto header = switchboard_->packet(data_);
  if (!header) return true;
  to_guest_.write(ram(), 0, vsock::write_header(*header));
  to_guest_.mark_written(ram(), vsock::k_header_bytes + header->len);
  counters_.bytes_to_guest.add(header->len);
  complete(k_receive, to_guest_, static_cast<u32>(vsock::k_header_bytes + header->len));
  held_ = false;
  return true;
}

}  // namespace armvisor::devices::virtio
