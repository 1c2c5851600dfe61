#pragma once
// The bytes of vhost-user messages (QEMU's docs/interop/vhost-user.rst): what a front end asks of a back end, and what
// of its replies is believed. Integers are the host's.
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/types.h"

namespace armvisor::devices::vhost_user {

enum class Request : u32 {
  GetFeatures = 1,
  SetFeatures = 2,
  SetOwner = 3,
  SetMemTable = 5,
  SetVringNum = 8,
  SetVringAddr = 9,
  SetVringBase = 10,
  GetVringBase = 11,
  SetVringKick = 12,
  SetVringCall = 13,
  GetProtocolFeatures = 15,
  SetProtocolFeatures = 16,
  GetQueueNum = 17,
  SetVringEnable = 18,
  GetConfig = 24,
};

/// Among a back end's features: it has protocol features.
inline constexpr u64 k_feature_protocol = u64{1} << 30;

// Protocol features.
inline constexpr u64 k_protocol_mq = u64{1} << 0;
inline constexpr u64 k_protocol_reply_ack = u64{1} << 3;
inline constexpr u64 k_protocol_config = u64{1} << 9;

inline constexpr std::size_t k_header_bytes = 12;
inline constexpr std::size_t k_most_payload = 512;  ///< of a reply: the longest is a configuration, of 268
inline constexpr std::size_t k_most_config = 256;

/// A payload, put together from integers.
class Payload {
 public:
  Payload& add32(u32 value) { return add(value); }
  Payload& add64(u64 value) { return add(value); }
  std::span<const u8> bytes() const { return {bytes_.data(), size_}; }

 private:
  template <class T>
  Payload& add(T value) {
    std::memcpy(bytes_.data() + size_, &value, sizeof value);
    size_ += sizeof value;
    return *this;
  }
  std::array<u8, 128> bytes_{};
  std::size_t size_ = 0;
};

/// A message as it is sent. `need_reply`: the back end is to say whether it could be done.
std::vector<u8> message(Request request, std::span<const u8> payload, bool need_reply);

/// The size of the payload that follows the header of a reply to `request`; nothing if it is no such header.
std::optional<std::size_t> payload_bytes(std::span<const u8, k_header_bytes> header, Request request);

/// A reply of one number.
std::optional<u64> number_of(std::span<const u8> payload);
/// The index that a ring was stopped at, of the reply to GetVringBase for `ring`.
std::optional<u32> base_of(std::span<const u8> payload, u32 ring);
/// `bytes` bytes of a configuration, of the reply to GetConfig.
std::optional<std::vector<u8>> config_of(std::span<const u8> payload, std::size_t bytes);

}  // namespace armvisor::devices::vhost_user
