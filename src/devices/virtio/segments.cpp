#include "devices/virtio/segments.h"

#include <algorithm>
#include <cstring>

#include "devices/frame_bytes.h"

namespace armvisor::devices::virtio {
namespace {

// Offsets into a frame with an IPv4 header of 20 bytes.
enum Offset : std::size_t {
  EtherType = 12,
  IpVersion = 14,
  IpLength = 16,
  IpId = 18,
  IpFragment = 20,
  IpTtl = 22,
  IpChecksum = 24,
  IpAddresses = 26,
  TcpPorts = 34,
  TcpSequence = 38,
  TcpAcknowledgement = 42,
  TcpOffset = 46,
  TcpFlags = 47,
  TcpWindow = 48,
  TcpChecksum = 50,
  TcpOptions = 54,
};
constexpr u8 k_psh = 8, k_ack = 16;
constexpr std::size_t k_most_bytes = 65535 + IpVersion;

std::size_t tcp_end(std::span<const u8> f) { return TcpPorts + (f[TcpOffset] >> 4) * std::size_t{4}; }

/// An IPv4 frame, whole and without options, of a TCP segment with data and no flags but ACK and PSH.
bool is_plain_segment(std::span<const u8> f) {
  return f.size() > TcpOptions && get16(f, EtherType) == 0x0800 && f[IpVersion] == 0x45 &&
         get16(f, IpLength) == f.size() - IpVersion && (get16(f, IpFragment) & 0x3fff) == 0 && f[IpTtl + 1] == 6 &&
         (f[TcpFlags] & ~k_psh) == k_ack && (f[TcpOffset] & 15) == 0 && tcp_end(f) >= TcpOptions &&
         tcp_end(f) < f.size();
}

bool same(std::span<const u8> a, std::span<const u8> b, std::size_t from, std::size_t to) {
  return std::equal(a.begin() + static_cast<std::ptrdiff_t>(from), a.begin() + static_cast<std::ptrdiff_t>(to),
                    b.begin() + static_cast<std::ptrdiff_t>(from));
}

}  // namespace

void Segments::clear() {
  frame_.clear();
  count_ = 0;
  closed_ = false;
}

bool Segments::add(std::span<const u8> frame) {
  if (!is_plain_segment(frame)) return false;
  if (count_ == 0)
    start(frame);
  else if (!follows(frame))
    return false;
  const std::size_t bytes = frame.size() - header_bytes_;
  frame_.insert(frame_.end(), frame.begin() + header_bytes_, frame.end());
  frame_[TcpFlags] |= frame[TcpFlags];
  next_sequence_ += static_cast<u32>(bytes);
  closed_ = bytes < segment_bytes_ || (frame[TcpFlags] & k_psh);
  ++count_;
  return true;
}

void Segments::start(std::span<const u8> frame) {
  header_bytes_ = static_cast<u16>(tcp_end(frame));
  segment_bytes_ = static_cast<u16>(frame.size() - header_bytes_);
  next_sequence_ = get32(frame, TcpSequence);
  frame_.assign(frame.begin(), frame.begin() + header_bytes_);
}

/// What the headers of one segment say must hold for all (RFC 793 lets acknowledgement and window change).
bool Segments::follows(std::span<const u8> frame) const {
  if (closed_ || tcp_end(frame) != header_bytes_ || frame.size() - header_bytes_ > segment_bytes_ ||
      frame_.size() + frame.size() - header_bytes_ > k_most_bytes)
    return false;
  return get32(frame, TcpSequence) == next_sequence_ && same(frame_, frame, 0, IpLength) &&
         same(frame_, frame, IpTtl, IpChecksum) && same(frame_, frame, IpAddresses, TcpSequence) &&
         same(frame_, frame, TcpAcknowledgement, TcpFlags) && same(frame_, frame, TcpWindow, TcpChecksum) &&
         same(frame_, frame, TcpOptions, header_bytes_);
}

Frame Segments::joined() {
  if (count_ < 2) return {frame_};
  const std::span<u8> f(frame_);
  put16(f, IpLength, static_cast<u16>(f.size() - IpVersion));
  put16(f, IpChecksum, 0);
  const u16 ip = static_cast<u16>(~ones_complement_sum(f.subspan(IpVersion, TcpPorts - IpVersion)));
  std::memcpy(&f[IpChecksum], &ip, 2);
  // RFC 793 3.1: addresses, zero, protocol, length of the TCP header and data.
  u8 pseudo[12] = {};
  std::copy_n(&f[IpAddresses], 8, pseudo);
  pseudo[9] = 6;
  put16(pseudo, 10, static_cast<u16>(f.size() - TcpPorts));
  const u16 tcp = ones_complement_sum(pseudo);
  std::memcpy(&f[TcpChecksum], &tcp, 2);
  return {f, header_bytes_, segment_bytes_};
}

}  // namespace armvisor::devices::virtio
