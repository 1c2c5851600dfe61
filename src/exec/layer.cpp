#include "exec/layer.h"

#include <sys/stat.h>

namespace armvisor::exec {
namespace {

constexpr std::string_view k_whiteout = ".wh.", k_opaque = ".wh..wh..opq", k_reserved = ".wh..wh.";

struct Split {
  std::string_view folder, name;
};
Split split(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

/// Whether it was one.
Result<bool> apply_whiteout(const TarEntry& entry, SystemTree& tree) {
  const auto [folder, name] = split(entry.path);
  if (!name.starts_with(k_whiteout)) return false;
  if (name == k_opaque) {
    AV_TRY(tree.hide_contents(folder));
  } else if (!name.starts_with(k_reserved) && name.size() > k_whiteout.size()) {
    std::string hidden(folder);
    hidden += '/';
    hidden += name.substr(k_whiteout.size());
    AV_TRY(tree.hide(hidden));
  }
  return true;
}

Status add_bytes(TarReader& archive, const TarEntry& entry, ExtImage& image, u32 inode) {
  AV_TRY(image.begin_file(inode, entry.size, entry.sparse));
  AV_TRY(archive.read([&](u64 offset, std::span<const u8> bytes) { return image.write(offset, bytes); }));
  return image.end_file(entry.size);
}

Status add_entry(TarReader& archive, const TarEntry& entry, SystemTree& tree, ExtImage& image) {
  if (entry.is_hard_link) return tree.add_hard_link(entry.path, entry.link);
  const u32 type = entry.attributes.mode & S_IFMT;
  if (type == 0) return {};  // of a kind that is not known, as tar leaves it out
  if (type == S_IFLNK && entry.link.empty()) return {};
  AV_TRY_ASSIGN(const u32 inode, tree.add(entry.path, entry.attributes, entry.link));
  for (const auto& [name, value] : entry.xattrs) AV_TRY(image.set_xattr(inode, name, value));
  return type == S_IFREG && entry.size ? add_bytes(archive, entry, image, inode) : Status();
}

}  // namespace

Status apply_layer(TarReader& archive, SystemTree& tree, ExtImage& image, Whiteouts whiteouts) {
  tree.begin_layer();
  for (;;) {
    AV_TRY_ASSIGN(const auto entry, archive.next());
    if (!entry) return {};
    if (whiteouts == Whiteouts::Layer) {
      AV_TRY_ASSIGN(const bool was_one, apply_whiteout(*entry, tree));
      if (was_one) continue;
    }
    AV_TRY(add_entry(archive, *entry, tree, image));
  }
}

}  // namespace armvisor::exec
