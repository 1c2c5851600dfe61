#include "devices/backends/disk_source.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "base/child_process.h"
#include "base/host_error.h"
#include "base/log.h"
#include "base/sandbox/sandbox.h"
#include "devices/backends/disk_file.h"
#include "devices/backends/disk_overlay.h"
#include "devices/backends/image_format.h"
#include "devices/backends/nbd_disk.h"

namespace armvisor::devices {
namespace {

struct CacheName {
  std::string_view name;
  DiskCache cache;
};
constexpr CacheName k_caches[] = {{"writeback", DiskCache::Writeback},
                                  {"none", DiskCache::None},
                                  {"writethrough", DiskCache::Writethrough},
                                  {"directsync", DiskCache::Directsync},
                                  {"unsafe", DiskCache::Unsafe}};

Error bad(const std::string& message) { return {ErrorKind::BadArguments, message}; }

// --- the option

/// False: the word is no option.
Result<bool> read_word(std::string_view word, DiskSource& source) {
  const std::size_t equals = std::min(word.find('='), word.size());
  const std::string_view key = word.substr(0, equals), value = word.substr(std::min(equals + 1, word.size()));
  const auto expected = [&](const std::string& what) {
    return bad(fmt::format("{}: expected {}, found '{}'; change it", key, what, value));
  };
  if (word == "ro") {
    source.read_only = true;
  } else if (word == "snapshot") {
    source.snapshot = true;
  } else if (key == "format") {
    if (value != "auto" && !is_image_format(value)) return expected("auto, " + image_format_names());
    source.format = value;
  } else if (key == "cache") {
    const auto cache = find_cache(value);
    if (!cache) return expected("writeback, none, writethrough, directsync or unsafe");
    source.cache = *cache;
  } else if (key == "discard") {
    if (value != "unmap" && value != "ignore") return expected("unmap or ignore");
    source.unmap = value == "unmap";
  } else {
    return false;
  }
  return true;
}

// --- files

Error cannot_open(const DiskSource& source, int error) {
  return file_error("disk " + source.path + ": expected to open it", error, "check the path and its permissions");
}

/// What the file is, by name or content. "raw" for what cannot be opened, so that DiskFile says why.
std::string format_of(const DiskSource& source) {
  if (!source.format.empty() && source.format != "auto") return source.format;
  const std::string named(format_of_name(source.path));
  if (source.format.empty() && named != "raw") return named;
  const Fd fd(::open(source.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<u8, k_format_bytes> head;
  const ssize_t n = fd ? ::pread(fd.get(), head.data(), head.size(), 0) : 0;
  const std::string found(format_of_content(std::span(head).first(static_cast<std::size_t>(std::max<ssize_t>(n, 0)))));
  if (!source.format.empty()) return found;
  if (found != "raw")
    AV_LOG(Warn,
           "disk %s looks like an image of format %s and is given to the guest as it is; format=%s or format=raw says "
           "what it is",
           source.path.c_str(), found.c_str(), found.c_str());
  return named;
}

/// In QEMU's lists of options a comma in a value is doubled.
std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == ',' ? std::string(",,") : std::string(1, c);
  return out;
}

std::vector<std::string> server_words(const DiskSource& source, const std::string& format, bool block_device) {
  // All of the name is the file's: with --image-opts qemu-nbd sees no protocol in it, and no format but the one given.
  const std::string image = "driver=" + format + ",file.driver=" + (block_device ? "host_device" : "file") +
                            ",file.filename=" + escape(source.path);
  std::vector<std::string> words = {"qemu-nbd", "--image-opts", image, "--cache=" + std::string(name(source.cache)),
                                    std::string("--discard=") + (source.unmap ? "unmap" : "ignore")};
  if (!source.detect_zeroes.empty()) words.push_back("--detect-zeroes=" + source.detect_zeroes);
  if (source.read_only) words.push_back("--read-only");
  return words;
}

/// An image may be several files, which are beside it.
ChildProcess::Confinement confinement_of(const DiskSource& source, bool block_device) {
  ChildProcess::Confinement confinement{{{"/dev/null", FileRights::ReadAndWrite}}};
  if (source.read_only) return confinement;
  std::error_code error;
  const auto real = std::filesystem::canonical(source.path, error);
  confinement.files.push_back({block_device ? real.string() : real.parent_path().string(), FileRights::Write});
  return confinement;
}

Result<std::unique_ptr<DiskBackend>> open_served(const DiskSource& source, const std::string& format,
                                                 const NbdOptions& options, const StopEvent* stop) {
  const Fd file(::open(source.path.c_str(), (source.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK));
  struct stat st = {};
  if (!file || ::fstat(file.get(), &st) != 0) return cannot_open(source, errno);
  AV_TRY_ASSIGN(ServedSocket socket, ServedSocket::create());
  const ChildProcess::Confinement confinement = confinement_of(source, S_ISBLK(st.st_mode));
  AV_TRY_ASSIGN(ChildProcess server,
                ChildProcess::start(server_words(source, format, S_ISBLK(st.st_mode)), std::move(socket.listening),
                                    "which opens disk " + source.path + " of format " + format, "qemu-utils",
                                    ChildProcess::Privileges::Ours, Sandbox::current() ? &confinement : nullptr));
  AV_TRY_ASSIGN(auto disk, NbdDisk::serve(std::move(server), std::move(socket.connected), source.path, options, stop));
  return std::unique_ptr<DiskBackend>(std::move(disk));
}

Result<std::unique_ptr<DiskBackend>> open_plain(const DiskSource& source, const StopEvent* stop) {
  const NbdOptions options = {.read_only = source.read_only, .ignore_flush = source.cache == DiskCache::Unsafe};
  if (is_nbd_address(source.path)) {
    AV_TRY_ASSIGN(auto disk, NbdDisk::connect(source.path, options, stop));
    return std::unique_ptr<DiskBackend>(std::move(disk));
  }
  const std::string format = format_of(source);
  if (format != "raw") return open_served(source, format, options, stop);
  AV_TRY_ASSIGN(auto disk, DiskFile::open(source.path, source.read_only,
                                          {.keep_raw = source.format == "auto", .ignore_flush = options.ignore_flush}));
  return std::unique_ptr<DiskBackend>(std::move(disk));
}

}  // namespace

std::string_view name(DiskCache cache) {
  for (const CacheName& c : k_caches)
    if (c.cache == cache) return c.name;
  return "";
}

std::optional<DiskCache> find_cache(std::string_view name) {
  for (const CacheName& c : k_caches)
    if (c.name == name) return c.cache;
  return std::nullopt;
}

Result<DiskSource> parse_disk_option(std::string_view text) {
  DiskSource source;
  for (std::size_t comma; (comma = text.rfind(',')) != std::string_view::npos; text = text.substr(0, comma)) {
    AV_TRY_ASSIGN(const bool known, read_word(text.substr(comma + 1), source));
    if (!known) break;
  }
  if (text.empty()) return bad("expected a file, found an empty name; name one or leave the option out");
  source.path = text;
  return source;
}

Result<std::unique_ptr<DiskBackend>> open_disk(const DiskSource& source, const StopEvent* stop) {
  if (!source.snapshot || source.read_only) return open_plain(source, stop);
  DiskSource below = source;
  below.read_only = true;
  AV_TRY_ASSIGN(auto disk, open_plain(below, stop));
  AV_TRY_ASSIGN(auto overlay, DiskOverlay::create(std::move(disk)));
  return std::unique_ptr<DiskBackend>(std::move(overlay));
}

}  // namespace armvisor::devices
