#include "exec/blobs.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/host_error.h"
#include "base/temporary_file.h"
#include "base/write_all.h"

namespace armvisor::exec {
namespace {

constexpr std::size_t k_most_files = 4096;

std::string plain_path(const std::string& path) {
  return std::filesystem::path("/" + path).lexically_normal().relative_path().string();
}

}  // namespace

Blobs Blobs::in_folder(Folder folder, Patience& patience) {
  Blobs blobs(folder.path(), patience);
  blobs.folder_ = std::move(folder);
  return blobs;
}

Result<Blobs> Blobs::in_archive(TarReader& archive, std::string path, u64 most, Patience& patience) {
  Blobs blobs(std::move(path), patience);
  AV_TRY_ASSIGN(blobs.file_, temporary_file(blobs.path_, "to unpack it"));
  u64 at = 0;
  for (;;) {
    AV_TRY_ASSIGN(const auto entry, archive.next());
    if (!entry) return blobs;
    const u32 type = entry->attributes.mode & S_IFMT;
    Part part{.offset = at};
    if (type == S_IFLNK || entry->is_hard_link) {
      const std::string folder = entry->is_hard_link ? "" : std::filesystem::path(entry->path).parent_path().string();
      part.link = plain_path(folder + "/" + entry->link);
    } else if (type == S_IFREG) {
      AV_TRY(archive.read([&](u64 offset, std::span<const u8> bytes) -> Status {
        if (offset != part.size || bytes.size() > most - at)
          return Error{ErrorKind::BadInput, fmt::format("{}: expected at most {} MiB when it is unpacked, found more; "
                                                        "give --unpacked a greater size",
                                                        blobs.path_, most >> 20)};
        if (!write_all(blobs.file_.get(), bytes))
          return host_error(blobs.path_ + ": expected room to unpack it", errno, "make room where TMPDIR is");
        part.size += bytes.size();
        at += bytes.size();
        return {};
      }));
    } else {
      continue;
    }
    if (blobs.parts_.size() >= k_most_files)
      return Error{ErrorKind::BadInput, fmt::format("{}: expected at most {} files of an image, found more; check it",
                                                    blobs.path_, k_most_files)};
    blobs.parts_[plain_path(entry->path)] = std::move(part);
  }
}

const Blobs::Part* Blobs::find(const std::string& name) const {
  std::string at = name;
  for (int links = 0; links < 8; ++links) {
    const auto found = parts_.find(at);
    if (found == parts_.end()) return nullptr;
    if (found->second.link.empty()) return &found->second;
    at = found->second.link;
  }
  return nullptr;
}

Error Blobs::missing(const std::string& name) const {
  return {ErrorKind::BadInput, path_ + ": expected the file " + name + " of an image, found none; get it again"};
}

bool Blobs::has(const std::string& name) const { return folder_ ? folder_->has(name) : find(name) != nullptr; }

Result<std::unique_ptr<ByteSource>> Blobs::open(const std::string& name) {
  if (folder_) {
    AV_TRY_ASSIGN(file_, folder_->open_file(name));
    return std::make_unique<ByteSource>(file_.get(), path_ + "/" + name, *patience_);
  }
  const Part* const part = find(name);
  if (!part) return missing(name);
  return std::make_unique<ByteSource>(file_.get(), path_ + ": " + name, *patience_, part->offset, part->size);
}

Result<std::vector<u8>> Blobs::read(const std::string& name) const {
  if (folder_) return folder_->read(name, k_longest_text);
  const Part* const part = find(name);
  if (!part) return missing(name);
  if (part->size > k_longest_text)
    return Error{ErrorKind::BadInput, fmt::format("{}: expected at most {} bytes in {}, found {}; check it", path_,
                                                  k_longest_text, name, part->size)};
  std::vector<u8> bytes;
  ByteSource source(file_.get(), path_ + ": " + name, *patience_, part->offset, part->size);
  for (;;) {
    AV_TRY_ASSIGN(const auto piece, source.next());
    if (piece.empty()) return bytes;
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
}

}  // namespace armvisor::exec
