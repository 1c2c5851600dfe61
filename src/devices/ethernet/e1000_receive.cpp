// What the controller receives (317453 section 3.2).
#include <algorithm>
#include <utility>

#include "devices/ethernet/e1000.h"
#include "devices/frame_bytes.h"
#include "memory/fence.h"

namespace armvisor::devices::e1000 {
namespace {
constexpr std::size_t k_min_frame = 60, k_addresses = 12, k_header = 14, k_tag = 4, k_checksum = 4;
constexpr std::size_t k_longest = 1518, k_longest_of_all = 16384;  ///< without tag and FCS

bool is_broadcast(std::span<const u8> frame) {
  return std::all_of(frame.begin(), frame.begin() + 6, [](u8 byte) { return byte == 0xff; });
}
bool is_multicast(std::span<const u8> frame) { return (frame[0] & 1) != 0; }
}  // namespace

void Controller::receive(std::span<const u8> frame) {
  const std::lock_guard lock(mutex_);
  if (!(reg(Rctl) & k_rctl_enable) || !is_master() || frame.size() < k_header) return;
  if (accepts(frame)) keep_or_deliver(frame);
}

bool Controller::accepts(std::span<const u8> frame) const {
  const auto at = [this](u32 offset) { return registers_[offset / 4]; };
  const u32 rctl = at(Rctl);
  const bool tagged = get16(frame, k_addresses) == (at(Vet) & 0xffff);
  const bool is_long = frame.size() > k_longest + (tagged ? k_tag : 0);
  if (frame.size() > k_longest_of_all || (is_long && !(rctl & (k_rctl_long | k_rctl_store_bad)))) return false;
  if (tagged && (rctl & k_rctl_vlan_filter)) {
    if (frame.size() < k_header + 2) return false;
    const u32 id = get16(frame, k_header) & 0xfff;
    if (!(at(VlanTable + 4 * (id / 32)) >> (id % 32) & 1)) return false;
  }
  if (is_broadcast(frame) && (rctl & k_rctl_broadcast)) return true;
  if (rctl & (is_multicast(frame) ? k_rctl_all_multicast : k_rctl_all_unicast)) return true;
  return has_address(frame) || (is_multicast(frame) && accepts_multicast(frame));
}

bool Controller::has_address(std::span<const u8> frame) const {
  const u32 low = frame[0] | u32{frame[1]} << 8 | u32{frame[2]} << 16 | u32{frame[3]} << 24;
  const u32 high = frame[4] | u32{frame[5]} << 8 | k_address_valid;
  for (u32 n = 0; n < k_receive_addresses; ++n) {
    const u32 at = (ReceiveAddresses + 8 * n) / 4;
    if (registers_[at] == low && (registers_[at + 1] & (k_address_valid | 0xffff)) == high) return true;
  }
  return false;
}

/// By 12 bits of the address, which RCTL.MO says (317453 section 13.5.1).
bool Controller::accepts_multicast(std::span<const u8> frame) const {
  constexpr u32 k_shifts[] = {4, 3, 2, 0};
  const u32 address = frame[4] | u32{frame[5]} << 8;
  const u32 bit = (address >> k_shifts[registers_[Rctl / 4] >> 12 & 3]) & 0xfff;
  return (registers_[(MulticastTable + 4 * (bit / 32)) / 4] >> (bit % 32) & 1) != 0;
}

u32 Controller::buffer_size() const {
  const u32 rctl = registers_[Rctl / 4], code = rctl >> 16 & 3;
  return (rctl & k_rctl_larger) && code ? 0x8000u >> code : 2048u >> code;
}

void Controller::keep_or_deliver(std::span<const u8> frame) {
  deliver_waiting();
  if (waiting_.empty() && deliver(frame)) return;
  causes_ |= k_irq_overrun;
  if (waiting_.has_room(frame.size()))
    waiting_.add({{frame.begin(), frame.end()}});
  else
    count(Mpc, 1);
}

void Controller::deliver_waiting() {
  if (waiting_.empty()) return;
  const bool receives = (reg(Rctl) & k_rctl_enable) && is_master();
  while (receives && !waiting_.empty() && deliver(waiting_.front().bytes)) waiting_.pop();
}

/// False: there are too few descriptors, so far.
bool Controller::deliver(std::span<const u8> frame) {
  std::vector<u8> bytes(frame.begin(), frame.end());
  u32 special = 0;
  u8 status = k_done | k_rx_no_checksum;
  if ((reg(Ctrl) & k_ctrl_vlan) && bytes.size() >= k_header + 2 && get16(bytes, k_addresses) == reg(Vet)) {
    special = get16(bytes, k_header);
    status |= k_rx_vlan;
    const auto tag = bytes.begin() + k_addresses;
    bytes.erase(tag, tag + k_tag);
  }
  const std::size_t size = std::max(bytes.size(), k_min_frame);
  bytes.resize(size + (reg(Rctl) & k_rctl_strip_crc ? 0 : k_checksum));
  Ring r = ring(Rdbal);
  const u32 buffer = buffer_size(), needed = static_cast<u32>((bytes.size() + buffer - 1) / buffer);
  if (r.is_sound() && needed >= r.count) {  // it will never do
    count(Mpc, 1);
    return true;
  }
  if (!r.is_sound() || r.filled() < needed) return false;
  for (std::size_t done = 0; done < bytes.size(); done += buffer) {
    const auto part = std::span(bytes).subspan(done, std::min<std::size_t>(buffer, bytes.size() - done));
    const bool last = done + part.size() == bytes.size();
    Descriptor d = descriptor(r.at(r.head));
    (void)ram_.write(GuestPa(d.address), part);
    d.words[0] = static_cast<u32>(part.size());
    d.words[1] = special << 16;
    (void)ram_.write(r.at(r.head), {reinterpret_cast<const u8*>(&d), sizeof d});
    full_fence();  // who sees that it is done sees what it is
    constexpr u32 k_status_at = 12;
    const u8 shown = last ? status | k_rx_end : status;
    (void)ram_.write(r.at(r.head) + k_status_at, {&shown, 1});
    r.head = (r.head + 1) % r.count;
  }
  reg(Rdh) = r.head;
  causes_ |= k_irq_received;
  if (r.filled() <= r.count >> (1 + (reg(Rctl) >> 8 & 3))) causes_ |= k_irq_receive_low;
  count(Gprc, 1);
  count(Tpr, 1);
  count(Gorcl, size, true);
  count(Torl, size, true);
  if (is_broadcast(frame))
    count(Bprc, 1);
  else if (is_multicast(frame))
    count(Mprc, 1);
  return true;
}

}  // namespace armvisor::devices::e1000
