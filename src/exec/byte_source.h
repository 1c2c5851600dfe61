#pragma once
// Bytes of an archive, one piece after the other, and the digest of all of them.
#include <nettle/sha2.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"
#include "exec/patience.h"

namespace armvisor::exec {

/// SHA-256, as 64 hexadecimal digits (FIPS 180-4).
class Digest {
 public:
  Digest() { sha256_init(&state_); }
  void add(std::span<const u8> bytes) { sha256_update(&state_, bytes.size(), bytes.data()); }
  std::string finish();  ///< once

 private:
  sha256_ctx state_;
};
std::string digest_of(std::span<const u8> bytes);

/// A file, or a part of one; of a pipe, what comes.
class ByteSource {
 public:
  /// The descriptor is borrowed. `path` is for messages. Without a size: to its end.
  ByteSource(int file, std::string path, Patience& patience, u64 offset = 0, std::optional<u64> size = std::nullopt);

  /// The next piece, empty at the end; it stays until the next call.
  Result<std::span<const u8>> next();
  /// The next call begins with the same piece again, if it was the only one.
  void again() { again_ = true; }
  /// Digest of all, also of what was not asked for yet; once.
  Result<std::string> digest();
  const std::string& path() const { return path_; }
  Patience& patience() { return patience_; }

 private:
  Status wait();

  const int file_;
  const std::string path_;
  Patience& patience_;
  bool seekable_;
  u64 at_;
  std::optional<u64> left_;
  bool again_ = false;
  std::vector<u8> piece_;
  Digest digest_;
};

}  // namespace armvisor::exec
