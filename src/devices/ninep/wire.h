#pragma once
// The bytes of 9P2000.L messages: little-endian numbers, and strings behind a length of 16 bits. Every message begins
// with its size, its type and a tag by which the answer is told from others. (The protocol: Plan 9's manual, section 5,
// and what Linux's fs/9p and diod's protocol.md add to it.)
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace armvisor::devices::ninep {

/// Requests; an answer's type is one more, and Rlerror that of one that failed.
enum class Message : u8 {
  Rlerror = 7,
  Tstatfs = 8,
  Tlopen = 12,
  Tlcreate = 14,
  Tsymlink = 16,
  Tmknod = 18,
  Trename = 20,
  Treadlink = 22,
  Tgetattr = 24,
  Tsetattr = 26,
  Txattrwalk = 30,
  Txattrcreate = 32,
  Treaddir = 40,
  Tfsync = 50,
  Tlock = 52,
  Tgetlock = 54,
  Tlink = 70,
  Tmkdir = 72,
  Trenameat = 74,
  Tunlinkat = 76,
  Tversion = 100,
  Tattach = 104,
  Tflush = 108,
  Twalk = 110,
  Tread = 116,
  Twrite = 118,
  Tclunk = 120,
  Tremove = 122,
};

inline constexpr std::size_t k_header_bytes = 7, k_qid_bytes = 13;
inline constexpr u32 k_no_fid = 0xffff'ffff;

/// What tells a file from all others of the server.
struct Qid {
  enum Type : u8 { File = 0, Symlink = 2, Folder = 0x80 };
  u8 type = File;
  u32 version = 0;  ///< changes as the file does
  u64 path = 0;
  bool operator==(const Qid&) const = default;
};

/// Takes a message apart. What reaches beyond its end gives zeros, and `ok` is false from then on.
class Reader {
 public:
  explicit Reader(std::span<const u8> bytes) : left_(bytes) {}

  template <class T>
  T number() {
    T value{};
    if (const u8* at = take(sizeof value)) std::memcpy(&value, at, sizeof value);
    return value;
  }
  u8 byte() { return number<u8>(); }
  u16 half() { return number<u16>(); }
  u32 word() { return number<u32>(); }
  u64 dword() { return number<u64>(); }
  /// As long as the message is there.
  std::string_view string() {
    const std::size_t size = half();
    const u8* const at = take(size);
    return at ? std::string_view(reinterpret_cast<const char*>(at), size) : std::string_view();
  }
  bool ok() const { return ok_; }

 private:
  const u8* take(std::size_t size);

  std::span<const u8> left_;
  bool ok_ = true;
};

/// Puts a message together, of which there is room for `most` bytes. What does not fit is left out, and `ok` is false
/// from then on.
class Writer {
 public:
  /// `bytes` is the writer's to fill, and keeps its memory for the next one.
  Writer(std::vector<u8>& bytes, std::size_t most) : bytes_(bytes), most_(most) { bytes_.clear(); }

  template <class T>
  void number(T value) {
    put(&value, sizeof value);
  }
  void byte(u8 value) { number(value); }
  void half(u16 value) { number(value); }
  void word(u32 value) { number(value); }
  void dword(u64 value) { number(value); }
  void string(std::string_view text) {
    half(static_cast<u16>(text.size()));
    put(text.data(), text.size());
  }
  void qid(const Qid& qid) {
    byte(qid.type);
    word(qid.version);
    dword(qid.path);
  }
  void put(const void* data, std::size_t size) {
    if (!ok_ || size > room()) {
      ok_ = false;
      return;
    }
    const std::size_t at = bytes_.size();
    bytes_.resize(at + size);
    if (size) std::memcpy(bytes_.data() + at, data, size);
  }
  /// Puts a number where one is already.
  template <class T>
  void patch(std::size_t at, T value) {
    std::memcpy(&bytes_[at], &value, sizeof value);
  }
  std::size_t size() const { return bytes_.size(); }
  std::size_t room() const { return most_ - bytes_.size(); }
  bool ok() const { return ok_; }
  /// Forgets what is behind the first `size` bytes.
  void cut(std::size_t size) {
    bytes_.resize(size);
    ok_ = true;
  }

 private:
  std::vector<u8>& bytes_;
  const std::size_t most_;
  bool ok_ = true;
};

}  // namespace armvisor::devices::ninep
