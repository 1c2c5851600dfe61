#include "exec/byte_source.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/host_error.h"

namespace armvisor::exec {
namespace {
constexpr std::size_t k_piece = 256 << 10;
constexpr int k_look_again_ms = 100;  ///< whether patience is over
}  // namespace

std::string Digest::finish() {
  u8 bytes[SHA256_DIGEST_SIZE];
  sha256_digest(&state_, sizeof bytes, bytes);
  std::string text;
  for (const u8 byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string digest_of(std::span<const u8> bytes) {
  Digest digest;
  digest.add(bytes);
  return digest.finish();
}

ByteSource::ByteSource(int file, std::string path, Patience& patience, u64 offset, std::optional<u64> size)
    : file_(file), path_(std::move(path)), patience_(patience), at_(offset), left_(size) {
  struct stat s {};
  seekable_ = fstat(file, &s) == 0 && S_ISREG(s.st_mode);
}

/// Of a pipe: for bytes.
Status ByteSource::wait() {
  for (;;) {
    AV_TRY(patience_.check());
    pollfd p = {file_, POLLIN, 0};
    if (seekable_ || poll(&p, 1, k_look_again_ms) > 0) return {};
  }
}

Result<std::span<const u8>> ByteSource::next() {
  if (again_) {
    again_ = false;
    return std::span<const u8>(piece_);
  }
  piece_.resize(std::min<u64>(k_piece, left_.value_or(k_piece)));
  for (;;) {
    AV_TRY(wait());
    const ssize_t n = seekable_ ? pread(file_, piece_.data(), piece_.size(), static_cast<off_t>(at_))
                                : read(file_, piece_.data(), piece_.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return file_error("expected to read " + path_, errno, "check it");
    piece_.resize(static_cast<std::size_t>(n));
    break;
  }
  if (piece_.empty() && left_.value_or(0) > 0)
    return Error{ErrorKind::BadInput, path_ + ": expected a whole file, found one that ends early; get it again"};
  at_ += piece_.size();
  if (left_) *left_ -= piece_.size();
  digest_.add(piece_);
  return std::span<const u8>(piece_);
}

Result<std::string> ByteSource::digest() {
  for (;;) {
    AV_TRY_ASSIGN(const auto piece, next());
    if (piece.empty()) return digest_.finish();
  }
}

}  // namespace armvisor::exec
