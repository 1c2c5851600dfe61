// What the controller sends (317453 sections 3.3 to 3.5).
#include <algorithm>
#include <utility>

#include "devices/ethernet/e1000.h"

namespace armvisor::devices::e1000 {
namespace {
constexpr u32 k_burst_frames = 256, k_burst_descriptors = 4096;  // then the sockets get their turn
constexpr u32 k_length = 0xffff, k_data_length = 0xfffff;
constexpr std::size_t k_smallest = 14;

bool is_context(u32 command) { return (command & k_tx_extended) && (command & k_tx_type) == 0; }

SegmentContext context_of(u64 address, u32 command, u32 last_word) {
  const auto place = [](u32 word) {
    return ChecksumPlace{.start = word & 0xff, .place = word >> 8 & 0xff, .last = word >> 16};
  };
  return {.ip = place(static_cast<u32>(address)),
          .payload = place(static_cast<u32>(address >> 32)),
          .header_bytes = last_word >> 8 & 0xff,
          .segment_bytes = last_word >> 16,
          .tcp = (command & k_tx_context_tcp) != 0,
          .ipv4 = (command & k_tx_context_ipv4) != 0};
}
}  // namespace

bool Controller::transmit_pending() {
  Outgoing out;
  u32 descriptors = k_burst_descriptors;
  for (u32 frames = 0; frames < k_burst_frames;) {
    bool loops_back = false;
    {
      const std::lock_guard lock(mutex_);
      deliver_waiting();
      if (!next_frame(out, descriptors)) {
        raise_causes();
        return descriptors == 0;
      }
      loops_back = (reg(Rctl) & k_rctl_loopback) || phy_.loops_back();
    }
    frames +=
        send_as_told(out, [&](std::span<const u8> frame) { loops_back ? receive(frame) : backend_->send(frame); });
  }
  received_all();
  return true;
}

/// Takes descriptors until a frame is whole. False: there are no more, or `descriptors` are used up.
bool Controller::next_frame(Outgoing& out, u32& descriptors) {
  for (; descriptors > 0; --descriptors) {
    const Ring r = ring(Tdbal);
    if (!is_master() || !(reg(Tctl) & k_tctl_enable) || !r.is_sound() || r.head == r.tail) return false;
    const Descriptor d = descriptor(r.at(r.head));
    const bool whole = take(d);
    if (d.words[0] & k_tx_report) {
      constexpr u32 k_status_at = 12;
      const u8 status = static_cast<u8>(d.words[1] | k_done);
      (void)ram_.write(r.at(r.head) + k_status_at, {&status, 1});
      causes_ |= k_irq_transmitted;
    }
    reg(Tdh) = (r.head + 1) % r.count;
    if (reg(Tdh) == r.tail) causes_ |= k_irq_transmit_empty;
    if (!whole) continue;
    std::swap(out, outgoing_);
    outgoing_.clear();
    if (out.too_long || out.bytes.size() < k_smallest) continue;  // what no wire would carry
    count(Gptc, 1);
    count(Tpt, 1);
    count(Gotcl, out.bytes.size(), true);
    count(Totl, out.bytes.size(), true);
    return true;
  }
  return false;
}

/// True: it was the last of a frame, which is in outgoing_.
bool Controller::take(const Descriptor& d) {
  const u32 command = d.words[0], options = d.words[1] >> 8;
  if (is_context(command)) {
    context_ = context_of(d.address, command, d.words[1]);
    return false;
  }
  const bool extended = (command & k_tx_extended) != 0;
  Outgoing& out = outgoing_;
  if (!out.begun) {  // what the first says is said of the frame
    out.begun = true;
    out.context = context_;
    out.segments = extended && (command & k_tx_segments);
    out.ip_checksum = extended && (options & k_tx_ip_checksum);
    out.payload_checksum = extended && (options & k_tx_payload_checksum);
  }
  if (!extended && (command & k_tx_checksum)) {
    out.context.payload = {.start = options & 0xff, .place = command >> 16 & 0xff, .last = 0};
    out.payload_checksum = true;
  }
  if ((command & k_tx_vlan) && (reg(Ctrl) & k_ctrl_vlan)) {
    out.tag = static_cast<u16>(d.words[1] >> 16);
    out.tag_type = static_cast<u16>(reg(Vet));
  }
  const std::size_t before = out.bytes.size(), more = command & (extended ? k_data_length : k_length);
  out.too_long |= before + more > Outgoing::k_max_bytes;
  if (!out.too_long && more) {
    out.bytes.resize(before + more);
    if (!ram_.read(GuestPa(d.address), std::span(out.bytes).subspan(before)))
      std::fill(out.bytes.begin() + static_cast<std::ptrdiff_t>(before), out.bytes.end(), u8{0});
  }
  return (command & k_tx_end) != 0;
}

}  // namespace armvisor::devices::e1000
