#include "exec/packed_system.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/host_error.h"
#include "base/temporary_file.h"
#include "devices/backends/image_format.h"
#include "exec/cache_folder.h"
#include "exec/disk_layout.h"
#include "exec/layer.h"

namespace armvisor::exec {
namespace {

using Kind = SystemName::Kind;

constexpr CacheFolder::Bounds k_kept = {.files = 16, .bytes = u64{16} << 30};
/// What a file of the cache is called begins with how it was made: another way has another name.
constexpr const char* k_prefix = "system-1-";
/// Behind the file system: a mark, then JSON, then zeros.
constexpr std::string_view k_mark = "armvisor system 1\n";
constexpr u64 k_trailer = u64{1} << 20;
constexpr u64 k_archive_bytes = 4;  ///< as many times what is unpacked an archive may be, with its headers
constexpr std::string_view k_hosts =
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";  ///< as docker has it in each container

struct Prefix {
  std::string_view text;
  Kind kind;
};
constexpr Prefix k_prefixes[] = {{"oci:", Kind::Images},
                                 {"oci-archive:", Kind::ImagesTar},
                                 {"docker-archive:", Kind::ImagesTar},
                                 {"tar:", Kind::Archive},
                                 {"disk:", Kind::Disk}};

Error bad(const std::string& message) { return {ErrorKind::BadInput, message}; }

/// A pipe is not looked at, which can be read once only.
bool is_disk(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  struct stat s {};
  if (!file || fstat(file.get(), &s) != 0 || (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode))) return false;
  const off_t end = lseek(file.get(), 0, SEEK_END);
  const auto read = [&file](u64 offset, std::span<u8> bytes) {
    return pread(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)) ==
           static_cast<ssize_t>(bytes.size());
  };
  std::array<u8, devices::k_format_bytes> head{};
  const bool has_head = read(0, head);
  if (has_head && devices::format_of_content(head) != "raw") return true;
  return end > 0 && looks_like_disk(read, static_cast<u64>(end));
}

/// PATH, or PATH:TAG if there is no such file: PATH is what is there before a colon.
void part_tag(SystemName& name) {
  struct stat s {};
  const std::string whole = name.path;
  for (std::size_t end = whole.size(); end != whole.npos; end = end == 0 ? whole.npos : whole.rfind(':', end - 1)) {
    const std::string path = whole.substr(0, end);
    if (stat(path.c_str(), &s) != 0) continue;
    name.path = path;
    if (end < whole.size()) name.tag = whole.substr(end + 1);
    return;
  }
}

/// `how`: the user's words of what it is, and of what in it.
std::string key_of_file(int file, const std::string& how) {
  const std::string identity = file_identity(file);
  if (identity.empty()) return {};
  const std::string more = how.empty() ? "" : "-" + digest_of({reinterpret_cast<const u8*>(how.data()), how.size()});
  return std::string(k_prefix) + "1-" + identity + more;
}
std::string key_of_image(const Image& image) {
  return image.digest ? std::string(k_prefix) + "0-" + *image.digest : std::string();
}

/// The configuration of a whole one.
Result<PackedSystem> open_image(Fd file, const std::string& path) {
  struct stat s {};
  std::vector<char> bytes(k_trailer);
  const bool read = fstat(file.get(), &s) == 0 && s.st_size > static_cast<off_t>(k_trailer) &&
                    pread(file.get(), bytes.data(), bytes.size(), s.st_size - static_cast<off_t>(k_trailer)) ==
                        static_cast<ssize_t>(bytes.size());
  const std::string_view text(bytes.data(), read ? bytes.size() : 0);
  if (!text.starts_with(k_mark))
    return bad(path + ": expected what was made of it, found something else; remove it from the cache");
  const std::string_view json = text.substr(k_mark.size(), text.find('\0') - k_mark.size());
  PackedSystem system{.image = std::move(file), .config = {}, .is_image = !json.empty()};
  if (!json.empty()) {
    AV_TRY_ASSIGN(system.config, parse_image_config(json, path));
  }
  return system;
}

/// A file system that an archive or layers become.
class Maker {
 public:
  Maker(std::string path, const PackedOptions& options, std::string key)
      : path_(std::move(path)),
        most_(std::clamp(options.most / ExtImage::k_block * ExtImage::k_block, ExtImage::k_least, ExtImage::k_most)),
        key_(std::move(key)),
        cache_(CacheFolder::open("systems", k_prefix, k_kept)) {}

  std::optional<Fd> find() const { return cache_.find(key_); }
  u64 most() const { return most_; }
  u64 most_of_archive() const { return most_ * k_archive_bytes; }
  void set_key(std::string key) { key_ = std::move(key); }

  /// `fill` lays archives over the tree.
  template <class F>
  Result<PackedSystem> make(const ImageConfig* config, F fill) {
    AV_TRY(begin());
    {
      AV_TRY_ASSIGN(ExtImage image, ExtImage::create(file_.file(), most_, path_));
      SystemTree tree(image, path_);
      AV_TRY(fill(tree, image));
      if (config) AV_TRY(add_what_containers_have(*config, tree, image));
      AV_TRY(tree.finish());
      AV_TRY(image.finish());
    }
    AV_TRY(write_trailer(config ? config->text() : ""));
    // Some file systems say only here that they had no room.
    if (fdatasync(file_.file()) != 0)
      return host_error(path_ + ": expected to keep what is unpacked", errno, "have XDG_CACHE_HOME elsewhere");
    cache_.keep(file_, key_);
    return open_image(std::move(file_).take(), path_);
  }

 private:
  Status begin() {
    file_ = cache_.begin(key_);
    if (!file_) {
      AV_TRY_ASSIGN(Fd file, temporary_file(path_, "for what is unpacked"));
      file_ = CacheFolder::Unfinished(std::move(file), "");
    }
    if (ftruncate(file_.file(), static_cast<off_t>(most_ + k_trailer)) != 0)
      return host_error(
          fmt::format("{}: expected a file of up to {} MiB, of which only what is used takes room", path_, most_ >> 20),
          errno, "have XDG_CACHE_HOME elsewhere, or give --unpacked a smaller size");
    return {};
  }

  Status add_file(SystemTree& tree, ExtImage& image, const char* path, std::string_view text) {
    AV_TRY_ASSIGN(const u32 inode, tree.add(path, {.mode = S_IFREG | 0644}));
    AV_TRY(image.begin_file(inode, text.size(), false));
    AV_TRY(image.write(0, {reinterpret_cast<const u8*>(text.data()), text.size()}));
    return image.end_file(text.size());
  }

  /// What is not in an image, but made when a container starts.
  Status add_what_containers_have(const ImageConfig& config, SystemTree& tree, ExtImage& image) {
    if (!config.folder.empty()) AV_TRY(tree.add_folder(config.folder));
    AV_TRY(tree.add_folder("etc"));
    return tree.is_missing_or_empty("etc/hosts") ? add_file(tree, image, "etc/hosts", k_hosts) : Status();
  }

  Status write_trailer(const std::string& json) {
    const std::string text = std::string(k_mark) + json;
    if (text.size() >= k_trailer)
      return bad(path_ + ": expected a configuration of less than 1 MiB, found a longer one; check it");
    if (pwrite(file_.file(), text.data(), text.size(), static_cast<off_t>(most_)) != static_cast<ssize_t>(text.size()))
      return host_error(path_ + ": expected room for it when it is unpacked", errno,
                        "make room where XDG_CACHE_HOME is");
    return {};
  }

  const std::string path_;
  const u64 most_;
  std::string key_;
  CacheFolder cache_;
  CacheFolder::Unfinished file_;
};

Status add_layers(Blobs& blobs, const Image& chosen, u64 most, SystemTree& tree, ExtImage& image) {
  for (const ImageLayer& layer : chosen.layers) {
    AV_TRY_ASSIGN(const auto source, blobs.open(layer.name));
    {
      AV_TRY_ASSIGN(TarReader archive, TarReader::open(*source, most));
      AV_TRY(apply_layer(archive, tree, image, Whiteouts::Layer));
      most -= std::min(most, archive.bytes());  // it is for all of them together
    }
    if (!layer.digest) continue;
    AV_TRY_ASSIGN(const std::string digest, source->digest());
    if (digest != *layer.digest)
      return bad(source->path() + ": expected the content that its digest says, found another; get the image again");
  }
  return {};
}

Result<PackedSystem> make_of_images(Maker& maker, Blobs& blobs, const Image& chosen) {
  return maker.make(&chosen.config, [&](SystemTree& tree, ExtImage& image) {
    return add_layers(blobs, chosen, maker.most_of_archive(), tree, image);
  });
}

Result<PackedSystem> open_image_folder(const SystemName& name, const PackedOptions& options, Patience& patience) {
  AV_TRY_ASSIGN(Folder folder, Folder::open(name.path, "oci"));
  Blobs blobs = Blobs::in_folder(std::move(folder), patience);
  AV_TRY_ASSIGN(const Image chosen, choose_image(blobs, name.tag));
  Maker maker(name.path, options, key_of_image(chosen));
  if (auto made = maker.find()) return open_image(*std::move(made), name.path);
  return make_of_images(maker, blobs, chosen);
}

Result<PackedSystem> open_archive(const SystemName& name, const PackedOptions& options, Patience& patience) {
  const Fd file(::open(name.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file) return file_error("system: expected to read " + name.path, errno, "check the path");
  const std::string how = name.said ? fmt::format("{}:{}", static_cast<int>(name.kind), name.tag) : "";
  Maker maker(name.path, options, key_of_file(file.get(), how));
  if (auto made = maker.find()) return open_image(*std::move(made), name.path);
  ByteSource source(file.get(), name.path, patience);
  AV_TRY_ASSIGN(TarReader archive, TarReader::open(source, maker.most_of_archive()));
  AV_TRY_ASSIGN(const std::string first, archive.first_path());
  if (first.empty()) return bad(name.path + ": expected a tar archive of a system, found an empty one; check it");
  if (name.kind == Kind::ImagesTar || (!name.said && is_name_of_image_file(first))) {
    AV_TRY_ASSIGN(Blobs blobs, Blobs::in_archive(archive, name.path, maker.most(), patience));
    AV_TRY_ASSIGN(const Image chosen, choose_image(blobs, name.tag));
    return make_of_images(maker, blobs, chosen);
  }
  return maker.make(
      nullptr, [&](SystemTree& tree, ExtImage& image) { return apply_layer(archive, tree, image, Whiteouts::None); });
}

}  // namespace

Result<SystemName> find_system(const std::string& text) {
  SystemName name;
  name.path = text;
  for (const Prefix& prefix : k_prefixes) {
    if (!text.starts_with(prefix.text)) continue;
    name = {.kind = prefix.kind, .path = text.substr(prefix.text.size()), .tag = {}, .said = true};
    if (name.kind == Kind::Images || name.kind == Kind::ImagesTar) part_tag(name);
  }
  struct stat s {};
  if (stat(name.path.c_str(), &s) != 0)
    return file_error("system: expected a folder, an archive or an image, found " + name.path, errno, "name one");
  if (name.said) return name;
  const auto has = [&](const char* file) { return access((name.path + "/" + file).c_str(), F_OK) == 0; };
  if (S_ISDIR(s.st_mode)) {
    if (has("index.json") && has("oci-layout")) name.kind = Kind::Images;
  } else {
    name.kind = is_disk(name.path) ? Kind::Disk : Kind::Archive;
  }
  return name;
}

Result<PackedSystem> open_packed_system(const SystemName& name, const PackedOptions& options, Patience& patience) {
  return name.kind == Kind::Images ? open_image_folder(name, options, patience) : open_archive(name, options, patience);
}

}  // namespace armvisor::exec
