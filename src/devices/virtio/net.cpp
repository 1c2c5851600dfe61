#include "devices/virtio/net.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "devices/frame_bytes.h"

namespace armvisor::devices::virtio {
namespace {

constexpr std::array<u16, 2> k_queue_sizes = {256, 256};
constexpr u16 k_receive = 0;
constexpr u16 k_transmit = 1;

// Feature bits, 5.1.3.
constexpr u64 k_csum = 1u << 0;
constexpr u64 k_guest_csum = 1u << 1;
constexpr u64 k_mac = 1u << 5;
constexpr u64 k_guest_tso4 = 1u << 7;
constexpr u64 k_host_tso4 = 1u << 11;
constexpr u64 k_mrg_rxbuf = 1u << 15;
constexpr u64 k_status = 1u << 16;
constexpr u16 k_link_up = 1;

// struct virtio_net_hdr, 5.1.6; num_buffers is absent in the legacy interface without MRG_RXBUF.
struct Header {
  u8 flags;
  u8 gso_type;
  u16 hdr_len;
  u16 gso_size;
  u16 csum_start;
  u16 csum_offset;
  u16 num_buffers;
};
constexpr std::size_t k_short_header = 10;
constexpr u8 k_needs_csum = 1;
constexpr u8 k_data_valid = 2;
constexpr u8 k_gso_tcpv4 = 1;

constexpr std::size_t k_min_frame = 14;
constexpr std::size_t k_max_frame = 65550;
constexpr int k_transmit_burst = 256;  // then the sockets get their turn

}  // namespace

Result<std::unique_ptr<Net>> Net::create(std::unique_ptr<NetworkBackend> backend, const MacAddress& mac,
                                         const IoOptions& options) {
  std::unique_ptr<Net> net(new Net(std::move(backend), mac, options));
  AV_TRY(net->backend_->start(*net));
  return net;
}

Net::~Net() { backend_->stop(); }

u64 Net::features() const {
  return k_csum | k_guest_csum | k_mac | k_mrg_rxbuf | k_status | (options_.large_send ? k_host_tso4 : 0) |
         (options_.large_receive ? k_guest_tso4 : 0);
}

std::span<const u16> Net::queue_sizes() const { return k_queue_sizes; }

u16 Net::request_queue() const { return k_transmit; }

void Net::read_config(u32 offset, std::span<u8> out) {
  std::array<u8, 8> config{};
  std::copy(mac_.begin(), mac_.end(), config.begin());
  std::memcpy(config.data() + 6, &k_link_up, 2);
  copy_config(config, offset, out);
}

void Net::activate(u64 negotiated) {
  {
    const std::lock_guard lock(mutex_);
    negotiated_ = negotiated;
    active_ = true;
  }
  backend_->wake();
}

void Net::reset() {
  const std::lock_guard lock(mutex_);
  active_ = false;
  negotiated_ = 0;
  waiting_.clear();
  segments_.clear();
  held_ = 0;
  held_bytes_ = 0;
}

void Net::notify(u16) { backend_->wake(); }

std::size_t Net::header_bytes() const {
  return negotiated_ & (k_feature_version_1 | k_mrg_rxbuf) ? sizeof(Header) : k_short_header;
}

bool Net::transmit_pending() {
  const std::lock_guard lock(mutex_);
  if (!active_) return false;
  deliver_waiting();
  int left = k_transmit_burst;
  serve(
      k_transmit, transmit_chain_, [&] { return left > 0; },
      [&](Chain& chain) -> std::optional<u32> {
        --left;
        if (!transmit(chain)) counters_.errors.add();
        return 0;
      });
  deliver_segments();  // answers to what was sent
  interrupt(k_receive);
  return left == 0;
}

/// False for a frame that no wire would carry; it is dropped.
bool Net::transmit(Chain& chain) {
  Header header = {};
  const std::size_t skip = header_bytes();
  if (chain.read(0, {reinterpret_cast<u8*>(&header), skip}) != skip) return false;
  const u64 size = chain.readable_bytes - skip;
  if (size < k_min_frame || size > k_max_frame || !may_send(header.gso_type)) return false;
  frame_.resize(size);
  chain.read(skip, frame_);
  // 5.1.6.2: the checksum field holds the pseudo header's sum; the device adds the rest.
  const std::size_t checksum_at = std::size_t{header.csum_start} + header.csum_offset;
  if ((header.flags & k_needs_csum) &&
      (!(negotiated_ & k_csum) || !complete_checksum(frame_, header.csum_start, size, checksum_at)))
    return false;
  counters_.bytes_from_guest.add(size);
  // What the backend answers at once comes back through receive(), which must not find the mutex held by this thread.
  sending_ = true;
  steps_.begin(measure::Step::Host);
  backend_->send(frame_);
  steps_.end(measure::Step::Host);
  sending_ = false;
  return true;
}

/// A large segment stays one: to the backend it is data of a stream.
bool Net::may_send(u8 gso_type) const {
  return gso_type == 0 || (gso_type == k_gso_tcpv4 && (negotiated_ & k_host_tso4));
}

void Net::receive(std::span<const u8> frame) {
  std::unique_lock lock(mutex_, std::defer_lock);
  if (!sending_) lock.lock();
  if (!active_) return;
  if (negotiated_ & k_guest_tso4) {
    if (segments_.add(frame)) return;
    deliver_segments();
    if (segments_.add(frame)) return;
  }
  deliver_or_keep({frame});
}

void Net::received_all() {
  const std::lock_guard lock(mutex_);
  if (!active_) return;
  deliver_segments();
  interrupt(k_receive);
}

void Net::deliver_segments() {
  if (segments_.count() == 0) return;
  deliver_or_keep(segments_.joined());
  segments_.clear();
}

void Net::deliver_or_keep(const Frame& frame) {
  if (waiting_.empty() && deliver(frame)) return;
  if (!waiting_.has_room(frame.bytes.size())) {
    counters_.dropped.add();
    return;
  }
  waiting_.add({{frame.bytes.begin(), frame.bytes.end()}, frame.header_bytes, frame.segment_bytes});
}

void Net::deliver_waiting() {
  const auto first = [this] {
    const WaitingFrame& f = waiting_.front();
    return Frame{f.bytes, f.header_bytes, f.segment_bytes};
  };
  while (!waiting_.empty() && deliver(first())) waiting_.pop();
  interrupt(k_receive);
}

/// Holds receive buffers for `bytes`: one, or with MRG_RXBUF as many as it needs (5.1.6.4). False when there are not
/// enough; those there are stay held, and the driver is asked to tell of more.
bool Net::hold_buffers(u64 bytes) {
  const bool mergeable = (negotiated_ & k_mrg_rxbuf) != 0;
  const auto enough = [&] { return mergeable ? held_bytes_ >= bytes : held_ > 0; };
  queue(k_receive).disable_notifications();
  do {
    while (!enough()) {
      if (held_ == receive_chains_.size()) receive_chains_.emplace_back();
      Chain& chain = receive_chains_[held_];
      if (!next(k_receive, chain)) break;
      if (chain.writable_bytes == 0) {
        malformed(k_receive);
        return false;
      }
      held_bytes_ += chain.writable_bytes;
      ++held_;
    }
    if (enough()) return true;
  } while (queue(k_receive).enable_notifications());
  return false;
}

bool Net::deliver(const Frame& f) {
  const std::span<const u8> frame = f.bytes;
  const std::size_t header_size = header_bytes();
  if (!hold_buffers(header_size + frame.size())) {
    // More than the whole ring: it will never do.
    if (held_ < queue(k_receive).size()) return false;
    counters_.dropped.add();
    return true;
  }
  const std::size_t count = std::exchange(held_, 0);
  held_bytes_ = 0;
  Header header = {};
  if (f.segment_bytes) {
    // 5.1.6.4.1: a large segment comes with a checksum to be completed, which nobody does.
    header.flags = k_needs_csum;
    header.gso_type = k_gso_tcpv4;
    header.hdr_len = f.header_bytes;
    header.gso_size = f.segment_bytes;
    header.csum_start = Segments::k_tcp_start;
    header.csum_offset = Segments::k_tcp_checksum;
  } else if (negotiated_ & k_guest_csum) {
    header.flags = k_data_valid;
  }
  header.num_buffers = static_cast<u16>(count);
  std::size_t skip = header_size, done = 0;
  const std::span<const u8> header_view(reinterpret_cast<const u8*>(&header), header_size);
  for (std::size_t i = 0; i < count; ++i) {
    const Chain& chain = receive_chains_[i];
    const std::size_t h = header_size - skip;
    const std::size_t in_header = chain.write(ram(), 0, header_view.subspan(h));
    skip -= in_header;
    const std::size_t in_frame = chain.write(ram(), in_header, frame.subspan(done));
    done += in_frame;
    queue(k_receive).stage(chain.head, static_cast<u32>(in_header + in_frame));
  }
  queue(k_receive).publish();  // all buffers of a frame appear together (5.1.6.4)
  counters_.requests.add();
  counters_.bytes_to_guest.add(done);
  if (done < frame.size()) counters_.errors.add();  // a lone buffer that was too small
  return true;
}

}  // namespace armvisor::devices::virtio
