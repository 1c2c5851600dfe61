#include "devices/ethernet/e1000_segments.h"

#include <algorithm>

#include "devices/frame_bytes.h"

namespace armvisor::devices::e1000 {
namespace {
constexpr std::size_t k_min_frame = 60, k_addresses = 12;
constexpr u8 k_tcp_fin_and_push = 0x09;

bool has(std::span<const u8> b, std::size_t at, std::size_t size) { return at + size <= b.size(); }

/// Adds to a checksum that has not been complemented.
void add16(std::span<u8> b, std::size_t at, u32 value) {
  if (!has(b, at, 2)) return;
  const u32 sum = u32{get16(b, at)} + value;
  put16(b, at, (sum & 0xffff) + (sum >> 16));
}

void put_checksum(std::span<u8> frame, const ChecksumPlace& c) {
  const std::size_t end = c.last ? std::min<std::size_t>(c.last + 1, frame.size()) : frame.size();
  if (c.start < end) (void)complete_checksum(frame, c.start, end, c.place);
}

/// Lengths, numbers and flags of segment `n`, whose data begins at `offset` of all data (317453 section 3.5.7).
void fix_headers(std::span<u8> frame, const SegmentContext& c, u32 n, u32 offset, bool last) {
  const std::size_t ip = c.ip.start, payload = c.payload.start, size = frame.size();
  constexpr std::size_t k_ipv6_header = 40;
  if (c.ipv4 && has(frame, ip, 6)) {
    put16(frame, ip + 2, static_cast<u32>(size - ip));
    put16(frame, ip + 4, get16(frame, ip + 4) + n);
  } else if (!c.ipv4 && has(frame, ip, 6) && size >= ip + k_ipv6_header) {
    put16(frame, ip + 4, static_cast<u32>(size - ip - k_ipv6_header));
  }
  if (payload > size) return;
  const u32 length = static_cast<u32>(size - payload);
  if (c.tcp && has(frame, payload, 14)) {
    put32(frame, payload + 4, get32(frame, payload + 4) + offset);
    if (!last) frame[payload + 13] &= static_cast<u8>(~k_tcp_fin_and_push);
  } else if (!c.tcp && has(frame, payload, 6)) {
    put16(frame, payload + 4, length);
  }
  add16(frame, c.payload.place, length);  // to the sum of the pseudo header, which has none
}

void finish(std::vector<u8>& frame, const Outgoing& out, const std::function<void(std::span<const u8>)>& send) {
  if (out.payload_checksum) put_checksum(frame, out.context.payload);
  if (out.ip_checksum) put_checksum(frame, out.context.ip);
  if (out.tag && frame.size() >= k_addresses) {
    u8 tag[4];
    put16(tag, 0, out.tag_type);
    put16(tag, 2, *out.tag);
    frame.insert(frame.begin() + k_addresses, tag, tag + sizeof tag);
  }
  if (frame.size() < k_min_frame) frame.resize(k_min_frame);
  send(frame);
}
}  // namespace

u32 send_as_told(Outgoing& out, const std::function<void(std::span<const u8>)>& send) {
  const u32 header = out.context.header_bytes, most = out.context.segment_bytes;
  if (!out.segments || most == 0 || header == 0 || out.bytes.size() <= header) {
    finish(out.bytes, out, send);
    return 1;
  }
  const std::size_t data = out.bytes.size() - header;
  std::vector<u8> frame;
  u32 n = 0;
  for (u32 offset = 0; offset < data; ++n, offset += most) {
    const std::size_t size = std::min<std::size_t>(most, data - offset);
    const auto from = out.bytes.begin() + header + offset;
    frame.assign(out.bytes.begin(), out.bytes.begin() + header);
    frame.insert(frame.end(), from, from + static_cast<std::ptrdiff_t>(size));
    fix_headers(frame, out.context, n, offset, offset + size == data);
    finish(frame, out, send);
  }
  return n;
}

}  // namespace armvisor::devices::e1000
