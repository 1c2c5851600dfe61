#include "exec/unpack.h"

#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <memory>

namespace armvisor::exec {
namespace {

constexpr std::size_t k_step = std::size_t{1} << 20;

template <std::size_t n>
bool begins_with(std::span<const u8> bytes, const std::array<u8, n>& magic) {
  return bytes.size() >= n && std::equal(magic.begin(), magic.end(), bytes.begin());
}

enum class Step { More, End, Error };

/// Calls step(room, written) until it says that it is at its end.
template <class F>
Result<std::vector<u8>> grow(const std::string& name, u64 most, F step) {
  std::vector<u8> out;
  for (;;) {
    const std::size_t at = out.size();
    out.resize(at + k_step);
    std::size_t written = 0;
    const Step done = step(std::span(out).subspan(at), written);
    out.resize(at + written);
    if (out.size() > most)
      return Error{ErrorKind::BadInput,
                   name + ": expected at most " + std::to_string(most) + " bytes when unpacked, found more; check it"};
    if (done == Step::End) return out;
    if (done == Step::Error || written == 0)
      return Error{ErrorKind::BadInput, name + ": expected a packed file, found a broken one; get it again"};
  }
}

Result<std::vector<u8>> unpack_gzip(const std::string& name, std::vector<u8>& bytes, u64 most) {
  z_stream z{};
  if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
    return Error{ErrorKind::HostResource, name + ": expected memory to unpack it, found none; end other programs"};
  const auto end = [](z_stream* s) { inflateEnd(s); };
  const std::unique_ptr<z_stream, decltype(end)> guard(&z, end);
  z.next_in = bytes.data();
  z.avail_in = static_cast<uInt>(bytes.size());
  return grow(name, most, [&z](std::span<u8> room, std::size_t& written) {
    z.next_out = room.data();
    z.avail_out = static_cast<uInt>(room.size());
    const int result = inflate(&z, Z_NO_FLUSH);
    written = room.size() - z.avail_out;
    return result == Z_STREAM_END ? Step::End : result == Z_OK ? Step::More : Step::Error;
  });
}

Result<std::vector<u8>> unpack_xz(const std::string& name, std::vector<u8>& bytes, u64 most) {
  constexpr u64 k_memory = u64{256} << 20;
  lzma_stream z = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&z, k_memory, 0) != LZMA_OK)
    return Error{ErrorKind::HostResource, name + ": expected memory to unpack it, found none; end other programs"};
  const auto end = [](lzma_stream* s) { lzma_end(s); };
  const std::unique_ptr<lzma_stream, decltype(end)> guard(&z, end);
  z.next_in = bytes.data();
  z.avail_in = bytes.size();
  return grow(name, most, [&z](std::span<u8> room, std::size_t& written) {
    z.next_out = room.data();
    z.avail_out = room.size();
    const lzma_ret result = lzma_code(&z, LZMA_RUN);
    written = room.size() - z.avail_out;
    return result == LZMA_STREAM_END ? Step::End : result == LZMA_OK ? Step::More : Step::Error;
  });
}

Result<std::vector<u8>> unpack_zstd(const std::string& name, std::vector<u8>& bytes, u64 most) {
  const auto end = [](ZSTD_DStream* s) { ZSTD_freeDStream(s); };
  const std::unique_ptr<ZSTD_DStream, decltype(end)> z(ZSTD_createDStream(), end);
  if (!z)
    return Error{ErrorKind::HostResource, name + ": expected memory to unpack it, found none; end other programs"};
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  return grow(name, most, [&](std::span<u8> room, std::size_t& written) {
    ZSTD_outBuffer out{room.data(), room.size(), 0};
    const std::size_t result = ZSTD_decompressStream(z.get(), &out, &in);
    written = out.pos;
    return ZSTD_isError(result) ? Step::Error : result == 0 ? Step::End : Step::More;
  });
}

}  // namespace

Result<std::vector<u8>> unpack(const std::string& name, std::vector<u8> bytes, u64 most) {
  if (begins_with<2>(bytes, {0x1f, 0x8b})) return unpack_gzip(name, bytes, most);
  if (begins_with<6>(bytes, {0xfd, '7', 'z', 'X', 'Z', 0})) return unpack_xz(name, bytes, most);
  if (begins_with<4>(bytes, {0x28, 0xb5, 0x2f, 0xfd})) return unpack_zstd(name, bytes, most);
  return bytes;
}

}  // namespace armvisor::exec
