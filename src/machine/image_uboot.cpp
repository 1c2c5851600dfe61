// Legacy U-Boot images: a 64-byte big-endian header and the data, plain or compressed with gzip.
#include <fmt/core.h>
#include <zlib.h>

#include <algorithm>
#include <new>

#include "machine/image.h"

namespace armvisor::machine {
namespace {

constexpr std::size_t k_header_size = 64;
constexpr u32 k_magic = 0x27051956;
constexpr std::size_t k_magic_at = 0, k_header_crc_at = 4, k_size_at = 12, k_load_at = 16, k_entry_at = 20,
                      k_data_crc_at = 24, k_arch_at = 29, k_type_at = 30, k_compression_at = 31;
constexpr u8 k_arch_arm = 2, k_type_standalone = 1, k_type_kernel = 2, k_type_kernel_noload = 14;
constexpr u8 k_plain = 0, k_gzip = 1;

Error bad(const std::string& path, const std::string& expected_found) {
  return Error{ErrorKind::BadInput, "kernel " + path + ": " + expected_found};
}

u32 crc(const u8* data, std::size_t size) { return static_cast<u32>(crc32_z(0, data, size)); }

Result<std::vector<u8>> gunzip(const std::string& path, const u8* data, std::size_t size, const ImageRoom& room) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) throw std::bad_alloc();
  stream.next_in = const_cast<u8*>(data);
  stream.avail_in = static_cast<uInt>(size);
  std::vector<u8> out;
  int status = Z_OK;
  while (status == Z_OK && out.size() <= room.ram_size && !(room.stop && room.stop->is_set())) {
    const std::size_t done = out.size();
    out.resize(done + (std::size_t{1} << 20));
    stream.next_out = out.data() + done;
    stream.avail_out = 1u << 20;
    status = inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
  }
  inflateEnd(&stream);
  if (status == Z_MEM_ERROR) throw std::bad_alloc();
  if (out.size() > room.ram_size)
    return bad(path, fmt::format("expected gzip data of at most {} bytes in the uImage, found more; that is all RAM "
                                 "that the machine has; give it more with --memory",
                                 room.ram_size));
  if (status != Z_STREAM_END)
    return bad(path, "expected whole gzip data in the uImage, found damaged data; copy the file again");
  return out;
}

Status check_header(const std::string& path, const std::vector<u8>& f) {
  std::vector<u8> header(f.begin(), f.begin() + k_header_size);
  std::fill_n(header.begin() + k_header_crc_at, 4, u8{0});  // the sum is over a header without its sum
  if (crc(header.data(), k_header_size) != big32(f, k_header_crc_at))
    return bad(path, "expected a uImage header with a right checksum, found a wrong one; copy the file again");
  if (f[k_arch_at] != k_arch_arm)
    return bad(path, fmt::format("expected a uImage for ARM, found one for another CPU (code {}); build it for ARMv7",
                                 f[k_arch_at]));
  if (f[k_type_at] != k_type_kernel && f[k_type_at] != k_type_standalone && f[k_type_at] != k_type_kernel_noload)
    return bad(path,
               fmt::format("expected a uImage that holds a kernel, found type {}; give the kernel", f[k_type_at]));
  const u64 size = big32(f, k_size_at);
  if (size > f.size() - k_header_size)
    return bad(path,
               fmt::format("expected {} bytes after the uImage header, found {}; the file is truncated, copy it again",
                           size, f.size() - k_header_size));
  if (crc(f.data() + k_header_size, size) != big32(f, k_data_crc_at))
    return bad(path, "expected uImage data with a right checksum, found a wrong one; copy the file again");
  return {};
}

}  // namespace

bool is_uimage(const std::vector<u8>& file) {
  return file.size() >= k_header_size && big32(file, k_magic_at) == k_magic;
}

Result<Image> load_uimage(const std::string& path, const std::vector<u8>& file, const ImageRoom& room) {
  AV_TRY(check_header(path, file));
  const u8* data = file.data() + k_header_size;
  const std::size_t size = big32(file, k_size_at);
  std::vector<u8> content;
  switch (file[k_compression_at]) {
    case k_plain: content.assign(data, data + size); break;
    case k_gzip: {
      AV_TRY_ASSIGN(content, gunzip(path, data, size, room));
      break;
    }
    default:
      return bad(path, fmt::format("expected a uImage that is plain or compressed with gzip, found compression code "
                                   "{}; repack it with mkimage -C gzip",
                                   file[k_compression_at]));
  }
  // A zImage inside runs anywhere, so the board's place for it is better than that of the board it was packed for.
  if (is_zimage(content)) return load_zimage(path, std::move(content), room);
  Image image;
  image.entry = big32(file, k_entry_at);
  const GuestPa pa(big32(file, k_load_at));
  const u64 bytes = content.size();
  image.segments.push_back({pa, std::move(content), bytes});
  image.end = pa + bytes;
  return image;
}

}  // namespace armvisor::machine
