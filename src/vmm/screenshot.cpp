#include "vmm/screenshot.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <string_view>

#include "base/host_error.h"
#include "base/output_file.h"
#include "base/sandbox/sandbox.h"
#include "base/write_all.h"

namespace armvisor::vmm {
namespace {

constexpr std::string_view k_magic = "P6\n";
constexpr off_t k_most_bytes = off_t{1} << 30;

bool is_pixmap(std::span<const u8> bytes) {
  return bytes.size() >= k_magic.size() && std::ranges::equal(bytes.first(k_magic.size()), k_magic);
}

bool begins_as_pixmap(int fd) {
  u8 head[k_magic.size()];
  return ::pread(fd, head, sizeof head, 0) == static_cast<ssize_t>(sizeof head) && is_pixmap(head);
}

/// What is there already is not overwritten unless it is a picture.
Status check_target(const std::string& path) {
  const Fd there(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  struct stat st {};
  if (!there || ::fstat(there.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) return {};
  if (begins_as_pixmap(there.get())) return {};
  return Error{ErrorKind::BadArguments, "screendump: expected a new file or a pixmap (PPM), found " + path +
                                            ", which is something else; remove it first"};
}

Status write_file(const std::string& path, std::span<const u8> pixmap, const std::vector<std::string>& inputs) {
  AV_TRY_ASSIGN(OutputFile file, OutputFile::open("screendump", path));
  AV_TRY(file.differs_from(inputs));
  if (!file.is_regular()) return Error{ErrorKind::BadArguments, "screendump: expected a regular file, found " + path};
  return file.replace(pixmap);
}

}  // namespace

std::vector<u8> make_pixmap(u32 width, u32 height, std::vector<u8> pixels) {
  const std::string head = fmt::format("{}{} {}\n255\n", k_magic, width, height);
  pixels.insert(pixels.begin(), head.begin(), head.end());
  return pixels;
}

Status save_screenshot(const std::string& path, const std::vector<u8>& pixmap, const std::vector<std::string>& inputs) {
  if (!Sandbox::current()) return write_file(path, pixmap, inputs);
  const Fd memory(::memfd_create("armvisor-screen", MFD_CLOEXEC));
  if (!memory || !write_all(memory.get(), pixmap))
    return host_error("screendump: expected memory for the picture", errno, "end other programs");
  const auto written = Sandbox::ask(k_screenshot_errand, path, memory.get());
  if (!written) return Error{ErrorKind::Internal, "screendump: expected a monitor and a screen"};
  if (!*written) return written->error();
  return {};
}

Result<Fd> write_screenshot(const std::string& path, Fd pixmap, const std::vector<std::string>& inputs) {
  struct stat st {};
  const Error no_pixmap{ErrorKind::Internal, "screendump: expected a pixmap, found something else"};
  if (!pixmap || ::fstat(pixmap.get(), &st) != 0 || st.st_size > k_most_bytes) return no_pixmap;
  std::vector<u8> bytes(static_cast<std::size_t>(st.st_size));
  if (::pread(pixmap.get(), bytes.data(), bytes.size(), 0) != st.st_size || !is_pixmap(bytes)) return no_pixmap;
  AV_TRY(check_target(path));
  AV_TRY(write_file(path, bytes, inputs));
  return Fd();
}

}  // namespace armvisor::vmm
