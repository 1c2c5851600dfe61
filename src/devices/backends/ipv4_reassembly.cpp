#include "devices/backends/ipv4_reassembly.h"

#include <cstring>

namespace armvisor::devices {
namespace {

/// The payload is kept behind room for the longest headers, so that it need not be moved when the first one comes.
constexpr u32 k_room = k_ethernet_header + 60;

}  // namespace

/// The packet that a fragment belongs to; when there is none, an unused place or the oldest one.
Ipv4Reassembly::Packet& Ipv4Reassembly::find(const GuestPacket& p, u64 now_ms) {
  Packet* place = nullptr;
  for (Packet& k : packets_) {
    if (k.used && now_ms - k.started_ms > k_patience_ms) k.used = false;
    if (k.used && k.id == p.id && k.source == p.source && k.destination == p.destination && k.protocol == p.protocol)
      return k;
    if (!place || (place->used && (!k.used || k.started_ms < place->started_ms))) place = &k;
  }
  place->used = true;
  place->source = p.source;
  place->destination = p.destination;
  place->id = p.id;
  place->protocol = p.protocol;
  place->started_ms = now_ms;
  place->total = place->missing = place->highest = place->header = 0;
  place->there.reset();
  place->frame.resize(k_room);
  return *place;
}

std::span<const u8> Ipv4Reassembly::add(std::span<const u8> frame, const GuestPacket& p, u64 now_ms) {
  const u32 end = p.offset + p.payload_bytes;
  // All but the last are a multiple of 8 bytes long; RFC 791 has no packets longer than 65,535 bytes.
  if (p.payload_bytes == 0 || end > k_max_payload || (p.more && p.payload_bytes % 8)) return {};
  Packet& k = find(p, now_ms);
  // Fragments that disagree about the end belong to no packet that anyone sends.
  if (k.total && (end > k.total || (!p.more && end != k.total))) k.used = false;
  if (!p.more && (end + 7) / 8 < k.highest) k.used = false;
  if (!k.used) return {};
  if (!p.more) k.total = end;
  if (k.frame.size() < k_room + end) k.frame.resize(k_room + end);
  std::memcpy(k.frame.data() + k_room + p.offset, frame.data() + k_ethernet_header + p.header_bytes, p.payload_bytes);
  const u32 first = p.offset / 8, last = (end + 7) / 8;
  if (last > k.highest) {
    k.missing += last - k.highest;
    k.highest = last;
  }
  for (u32 unit = first; unit < last; ++unit)
    if (!k.there[unit]) {
      k.there[unit] = true;
      --k.missing;
    }
  if (p.offset == 0) {
    k.header = static_cast<u32>(k_ethernet_header) + p.header_bytes;
    std::memcpy(k.frame.data() + k_room - k.header, frame.data(), k.header);
  }
  return k.total && k.missing == 0 ? finish(k) : std::span<const u8>{};
}

/// The whole packet's frame: its first fragment's headers with the length and offset of one that was never cut.
std::span<const u8> Ipv4Reassembly::finish(Packet& k) {
  k.used = false;
  const std::span<u8> whole = std::span(k.frame).subspan(k_room - k.header, k.header + k.total);
  const std::span<u8> ip = whole.subspan(k_ethernet_header);
  const u32 total = static_cast<u32>(ip.size());
  if (total > 65535) return {};
  ip[2] = static_cast<u8>(total >> 8);
  ip[3] = static_cast<u8>(total);
  ip[6] &= 0x40;  // DF
  ip[7] = 0;
  ip[10] = ip[11] = 0;
  const u16 sum = internet_checksum(ip.first(k.header - k_ethernet_header));
  ip[10] = static_cast<u8>(sum >> 8);
  ip[11] = static_cast<u8>(sum);
  return whole;
}

}  // namespace armvisor::devices
