#include "devices/backends/network_flows.h"

#include <algorithm>
#include <vector>

#include "base/assert.h"

namespace armvisor::devices {
namespace {

/// How far `a` is ahead of `b` (RFC 9293 3.4: sequence numbers wrap).
s32 ahead(u32 a, u32 b) { return static_cast<s32>(a - b); }

}  // namespace

std::size_t NetworkFlows::KeyHash::operator()(const Key& k) const {
  constexpr u64 k_odd = 0x9e3779b97f4a7c15;
  const u64 guest = k.guest.high * k_odd ^ k.guest.low, far = k.far.high * k_odd ^ k.far.low;
  const u64 addresses = guest * k_odd ^ far;
  const u64 ports = u64{k.guest_port} << 32 | u64{k.far_port} << 8 | static_cast<u64>(k.kind);
  const u64 mixed = (addresses * k_odd ^ ports) * 0xd6e8feb86659fd93;
  return static_cast<std::size_t>(mixed ^ mixed >> 32);
}

NetworkFlows::Key NetworkFlows::key_from_guest(const GuestPacket& p) {
  switch (p.kind) {
    case GuestPacket::Kind::Tcp: return {Kind::Stream, p.source, p.destination, p.source_port, p.destination_port};
    case GuestPacket::Kind::Udp: return {Kind::Datagram, p.source, {}, p.source_port, 0};
    default: return {};
  }
}

NetworkFlows::Key NetworkFlows::key_to_guest(const GuestPacket& p) {
  GuestPacket back = p;
  std::swap(back.source, back.destination);
  std::swap(back.source_port, back.destination_port);
  return key_from_guest(back);
}

NetworkFlows::Flow* NetworkFlows::find(const Key& key) {
  if (last_ && last_->key == key) return last_;
  const auto at = by_key_.find(key);
  if (at == by_key_.end()) return nullptr;
  return last_ = at->second;
}

void NetworkFlows::opened(int fd, const Key& key, u64 now_ms) {
  closed(fd);  // it was closed without a word
  Flow& flow = flows_[fd];
  flow.key = key;
  if (const auto at = asked_by_key_.find(key); at != asked_by_key_.end()) {
    flow.acknowledging = true;  // libslirp's answer has gone already
    flow.acknowledged = flow.highest = at->second->seq;
    forget_asked(key);
  }
  flow.used_ms = now_ms;
  if (key.kind == Kind::Stream) ++streams_;
  if (key.kind == Kind::Echo) return;
  by_key_[key] = &flow;
  last_ = nullptr;
}

void NetworkFlows::closed(int fd) {
  const auto at = flows_.find(fd);
  if (at == flows_.end()) return;
  const Key& key = at->second.key;
  if (key.kind == Kind::Stream) --streams_;
  if (const auto flow = by_key_.find(key); flow != by_key_.end() && flow->second == &at->second) by_key_.erase(flow);
  last_ = nullptr;
  flows_.erase(at);
}

bool NetworkFlows::admit_segment(const GuestPacket& p, std::size_t frame_bytes) {
  Flow* flow = find(key_from_guest(p));
  if (!flow) return true;  // libslirp has no such connection either, and answers with a reset
  if (flow->far_end && (p.flags & k_tcp_ack) && ahead(p.ack, *flow->far_end) >= 0) flow->far_end_acknowledged = true;
  const u32 length = p.sequence_length();
  if (length == 0 || (p.flags & (k_tcp_syn | k_tcp_rst))) return true;
  if (!flow->acknowledging || ahead(p.seq, flow->acknowledged) > static_cast<s32>(k_max_ahead)) return false;
  const u32 end = p.seq + length;
  // What begins at or before what was acknowledged is in order: it is taken, or dropped, but does not wait.
  if (ahead(p.seq, flow->acknowledged) > 0) {
    const u32 cost = static_cast<u32>(frame_bytes) + k_segment_cost;
    if (flow->held + cost > k_max_held) return false;
    flow->held += cost;
    if (ahead(end, flow->highest) > 0) flow->highest = end;
  }
  if (p.flags & k_tcp_fin) flow->guest_end = end;
  return true;
}

void NetworkFlows::answered(const GuestPacket& p) {
  // The numbers in a reset are those of the segment that it answers.
  if (p.kind != GuestPacket::Kind::Tcp || (p.flags & k_tcp_rst)) return;
  Flow* flow = find(key_to_guest(p));
  if (!flow) {
    if (const auto at = asked_by_key_.find(key_to_guest(p)); at != asked_by_key_.end() && (p.flags & k_tcp_ack))
      at->second->seq = p.ack;
    return;
  }
  if (p.flags & k_tcp_fin) flow->far_end = p.seq + p.sequence_length();
  if (!(p.flags & k_tcp_ack)) return;
  if (!flow->acknowledging) flow->highest = p.ack;
  flow->acknowledging = true;
  flow->acknowledged = p.ack;
  if (ahead(p.ack, flow->highest) < 0) return;
  flow->highest = p.ack;
  flow->held = 0;  // all of it was taken in order: nothing waits
}

void NetworkFlows::used(const Key& key, u64 now_ms) {
  if (Flow* flow = find(key)) flow->used_ms = now_ms;
}

u64 NetworkFlows::datagram_used_ms(u32 place) const {
  std::vector<u64> times;
  for (const auto& [fd, flow] : flows_)
    if (flow.key.kind != Kind::Stream) times.push_back(flow.used_ms);
  AV_ASSERT(place < times.size());
  std::nth_element(times.begin(), times.begin() + place, times.end());
  return times[place];
}

void NetworkFlows::asked(const Key& key, u32 seq) {
  if (has(key) || is_asked(key)) return;
  asked_by_key_[key] = asked_.insert(asked_.end(), Reset{key, seq});
}

std::optional<NetworkFlows::Reset> NetworkFlows::oldest_asked() const {
  return asked_.empty() ? std::nullopt : std::optional(asked_.front());
}

void NetworkFlows::forget_asked(const Key& key) {
  const auto at = asked_by_key_.find(key);
  if (at == asked_by_key_.end()) return;
  asked_.erase(at->second);
  asked_by_key_.erase(at);
}

std::optional<NetworkFlows::Reset> NetworkFlows::ended_stream() const {
  for (const auto& [fd, flow] : flows_)
    if (flow.guest_end && flow.far_end_acknowledged && flow.acknowledged == *flow.guest_end)
      return Reset{flow.key, flow.acknowledged};
  return std::nullopt;
}

}  // namespace armvisor::devices
