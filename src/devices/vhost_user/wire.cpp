#include "devices/vhost_user/wire.h"

namespace armvisor::devices::vhost_user {
namespace {

constexpr u32 k_version = 1, k_version_mask = 3, k_reply = 4, k_need_reply = 8;
constexpr std::size_t k_config_header_bytes = 12;

template <class T>
T get(std::span<const u8> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

std::vector<u8> message(Request request, std::span<const u8> payload, bool need_reply) {
  const u32 header[] = {static_cast<u32>(request), k_version | (need_reply ? k_need_reply : 0),
                        static_cast<u32>(payload.size())};
  static_assert(sizeof header == k_header_bytes);
  std::vector<u8> bytes(k_header_bytes + payload.size());
  std::memcpy(bytes.data(), header, sizeof header);
  std::copy(payload.begin(), payload.end(), bytes.begin() + k_header_bytes);
  return bytes;
}

std::optional<std::size_t> payload_bytes(std::span<const u8, k_header_bytes> header, Request request) {
  const u32 flags = get<u32>(header, 4), size = get<u32>(header, 8);
  if (get<u32>(header, 0) != static_cast<u32>(request) || (flags & k_version_mask) != k_version || !(flags & k_reply) ||
      size > k_most_payload)
    return std::nullopt;
  return size;
}

std::optional<u64> number_of(std::span<const u8> payload) {
  if (payload.size() != sizeof(u64)) return std::nullopt;
  return get<u64>(payload, 0);
}

std::optional<u32> base_of(std::span<const u8> payload, u32 ring) {
  if (payload.size() != 2 * sizeof(u32) || get<u32>(payload, 0) != ring) return std::nullopt;
  return get<u32>(payload, 4);
}

std::optional<std::vector<u8>> config_of(std::span<const u8> payload, std::size_t bytes) {
  if (payload.size() != k_config_header_bytes + bytes || get<u32>(payload, 4) != bytes) return std::nullopt;
  const auto config = payload.subspan(k_config_header_bytes);
  return std::vector<u8>(config.begin(), config.end());
}

}  // namespace armvisor::devices::vhost_user
