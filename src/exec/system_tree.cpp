#include "exec/system_tree.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>

namespace armvisor::exec {
namespace {

constexpr int k_most_links = 40;  ///< symbolic ones on the way to one name (path_resolution(7))

/// Calls f with each part of a path, until it returns an error; "." and empty parts are none.
template <class F>
Status for_each_part(std::string_view path, F f) {
  while (!path.empty()) {
    const std::string_view part = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), part.size() + 1));
    if (!part.empty() && part != ".") AV_TRY(f(part));
  }
  return {};
}

/// "a/b/" as "a/b".
std::string_view without_slashes(std::string_view path) {
  while (path.ends_with('/') || path.ends_with("/.")) path.remove_suffix(1);
  return path == "." ? std::string_view() : path;
}

}  // namespace

SystemTree::SystemTree(ExtImage& image, std::string what) : image_(image), what_(std::move(what)) {
  root_.inode = ExtImage::k_root;
  root_.above = &root_;
}
SystemTree::~SystemTree() = default;

Error SystemTree::bad(std::string message) const { return {ErrorKind::BadInput, what_ + ": " + std::move(message)}; }

Status SystemTree::check_count() {
  if (names_ >= image_.inodes())
    return bad(
        fmt::format("expected at most {} names of files, found more; give --unpacked a greater size", image_.inodes()));
  ++names_;
  return {};
}

// --- looking up

Result<std::unique_ptr<SystemTree::Folder>> SystemTree::folder_in(Folder& above, u32 inode) const {
  if (above.depth >= k_most_depth)
    return bad(fmt::format("expected at most {} folders in one another, found more; check the archive", k_most_depth));
  return std::make_unique<Folder>(Folder{.inode = inode, .depth = above.depth + 1, .above = &above});
}

Result<SystemTree::Folder*> SystemTree::new_folder(Folder* folder, std::string_view name) {
  AV_TRY_ASSIGN(const u32 inode, image_.add({.mode = S_IFDIR | 0755}));
  Item item{.inode = inode, .mode = S_IFDIR | 0755, .layer = layer_};
  AV_TRY_ASSIGN(item.folder, folder_in(*folder, inode));
  Folder* const result = item.folder.get();
  AV_TRY(put({folder, std::string(name)}, std::move(item)));
  return result;
}

/// A folder of that name in a folder, or where a link of that name leads. Null: there is none, and none is made.
Result<SystemTree::Folder*> SystemTree::enter(Folder* folder, std::string_view name, bool make, int& links) {
  const auto found = folder->items.find(name);
  if (found != folder->items.end()) {
    Item& item = found->second;
    if (item.folder) {
      if (make) item.layer = layer_;
      return item.folder.get();
    }
    if (S_ISLNK(item.mode)) return follow(folder, item.link, make, links);
    if (!make) return nullptr;
  } else if (!make) {
    return nullptr;
  }
  return new_folder(folder, name);
}

/// One part of a link's path, where ".." is a folder above, and the root's is the root.
Result<SystemTree::Folder*> SystemTree::step(Folder* folder, std::string_view name, bool make, int& links) {
  if (name == "..") return folder->above;
  return enter(folder, name, make, links);
}

Result<SystemTree::Folder*> SystemTree::follow(Folder* folder, std::string_view link, bool make, int& links) {
  if (++links > k_most_links) return bad("a symbolic link in it leads to itself; check the archive");
  const std::string path(link);  // the link may go while folders are made
  Folder* at = path.starts_with('/') ? &root_ : folder;
  AV_TRY(for_each_part(path, [&](std::string_view part) -> Status {
    if (!at) return {};
    AV_TRY_ASSIGN(at, step(at, part, make, links));
    return {};
  }));
  return at;
}

/// Where a path is; without a folder: the way to it is not there.
Result<SystemTree::Place> SystemTree::place(std::string_view path, bool make) {
  if (path.size() >= k_longest_path)
    return bad(fmt::format("expected names of less than {} bytes, found one of {}; check the archive", k_longest_path,
                           path.size()));
  path = without_slashes(path);
  Place at{&root_, ""};
  int links = 0;
  AV_TRY(for_each_part(path, [&](std::string_view part) -> Status {
    if (part == "..")
      return bad("expected names below the system, found '" + std::string(path) + "'; check the archive");
    if (part.size() > k_longest_name || part.find('\0') != part.npos)
      return bad(fmt::format("expected names of at most {} bytes, found one of {}; check the archive", k_longest_name,
                             part.size()));
    if (at.folder && !at.name.empty()) {
      AV_TRY_ASSIGN(at.folder, enter(at.folder, at.name, make, links));
    }
    at.name = part;
    return {};
  }));
  return at;
}

bool SystemTree::has(std::string_view path) {
  const auto at = place(path, false);
  return at && at->folder && (at->name.empty() || at->folder->items.contains(at->name));
}

bool SystemTree::is_missing_or_empty(std::string_view path) {
  const auto at = place(path, false);
  if (!at || !at->folder || at->name.empty()) return false;
  const auto found = at->folder->items.find(at->name);
  if (found == at->folder->items.end()) return true;
  const auto size = image_.file_size(found->second.inode);
  return S_ISREG(found->second.mode) && size && *size == 0;
}

// --- changing

Status SystemTree::remove(Item& item) {
  --names_;
  if (item.folder) {
    for (auto& [name, inside] : item.folder->items) AV_TRY(remove(inside));
    return image_.remove(item.inode, true);
  }
  if (--links_[item.inode] > 0) return {};
  return image_.remove(item.inode, false);
}

Status SystemTree::put(const Place& place, Item item) {
  const auto found = place.folder->items.find(place.name);
  if (found != place.folder->items.end()) {
    AV_TRY(remove(found->second));
    place.folder->items.erase(found);
  }
  AV_TRY(check_count());
  if (!item.folder) {
    if (links_.size() <= item.inode) links_.resize(item.inode + std::size_t{1});
    ++links_[item.inode];
  }
  place.folder->items.emplace(place.name, std::move(item));
  return {};
}

Result<u32> SystemTree::add(std::string_view path, const Attributes& a, std::string_view link) {
  AV_TRY_ASSIGN(const Place at, place(path, true));
  if (link.size() >= k_longest_path)
    return bad(fmt::format("expected symbolic links of less than {} bytes, found one of {}; check the archive",
                           k_longest_path, link.size()));
  if (at.name.empty()) {
    if (!S_ISDIR(a.mode)) return bad("expected a folder as its root, found something else; check the archive");
    AV_TRY(image_.change(root_.inode, a));
    return root_.inode;
  }
  const auto found = at.folder->items.find(at.name);
  if (S_ISDIR(a.mode) && found != at.folder->items.end() && found->second.folder) {
    found->second.layer = layer_;
    AV_TRY(image_.change(found->second.inode, a));
    return found->second.inode;
  }
  AV_TRY_ASSIGN(const u32 inode, image_.add(a));
  Item item{.inode = inode, .mode = a.mode, .layer = layer_, .folder = nullptr, .link = std::string(link)};
  if (S_ISLNK(a.mode)) AV_TRY(image_.set_link(inode, link));
  if (S_ISDIR(a.mode)) {
    AV_TRY_ASSIGN(item.folder, folder_in(*at.folder, inode));
  }
  AV_TRY(put(at, std::move(item)));
  return inode;
}

Status SystemTree::add_hard_link(std::string_view path, std::string_view target) {
  AV_TRY_ASSIGN(const Place from, place(target, false));
  const auto missing = [&] {
    return bad("expected the file '" + std::string(target) + "', which '" + std::string(path) +
               "' is another name of, found none before it; check the archive");
  };
  if (!from.folder || from.name.empty()) return missing();
  const auto found = from.folder->items.find(from.name);
  if (found == from.folder->items.end() || found->second.folder) return missing();
  const Item& other = found->second;
  Item item{.inode = other.inode, .mode = other.mode, .layer = layer_, .folder = nullptr, .link = other.link};
  AV_TRY_ASSIGN(const Place at, place(path, true));
  if (at.name.empty()) return missing();
  const auto there = at.folder->items.find(at.name);
  if (there != at.folder->items.end() && there->second.inode == item.inode) return {};
  // Folders on the way may have taken the place of what it names.
  const u32 inode = item.inode;
  if (links_[inode] == 0) return missing();
  ++links_[inode];  // its last other name may be in the folder whose place this one takes
  AV_TRY(put(at, std::move(item)));
  --links_[inode];
  return {};
}

/// What lower layers put into a folder goes; what this one put there stays.
Status SystemTree::remove_lower(Folder& folder) {
  for (auto at = folder.items.begin(); at != folder.items.end();) {
    Item& item = at->second;
    if (item.layer == layer_) {
      if (item.folder) AV_TRY(remove_lower(*item.folder));
      ++at;
      continue;
    }
    AV_TRY(remove(item));
    at = folder.items.erase(at);
  }
  return {};
}

Status SystemTree::hide_contents(std::string_view path) {
  AV_TRY_ASSIGN(const Place at, place(path, true));
  if (at.name.empty()) return remove_lower(root_);
  int links = 0;
  AV_TRY_ASSIGN(Folder* const folder, enter(at.folder, at.name, true, links));
  return remove_lower(*folder);
}

Status SystemTree::hide(std::string_view path) {
  AV_TRY_ASSIGN(const Place at, place(path, false));
  if (!at.folder || at.name.empty()) return {};
  const auto found = at.folder->items.find(at.name);
  if (found == at.folder->items.end()) return {};
  Item& item = found->second;
  if (item.layer == layer_) return item.folder ? remove_lower(*item.folder) : Status();
  AV_TRY(remove(item));
  at.folder->items.erase(found);
  return {};
}

Status SystemTree::add_folder(std::string_view path) {
  AV_TRY_ASSIGN(const Place at, place(path, true));
  if (at.name.empty()) return {};
  if (at.folder->items.contains(at.name)) return {};
  AV_TRY_ASSIGN([[maybe_unused]] Folder* const made, new_folder(at.folder, at.name));
  return {};
}

// --- writing

Status SystemTree::write(Folder& folder, Folder& above) {
  std::vector<ExtImage::Name> names;
  names.reserve(folder.items.size());
  for (auto& [name, item] : folder.items) {
    names.push_back({name, item.inode, item.mode});
    if (item.folder) {
      AV_TRY(write(*item.folder, folder));
    } else if (u32& links = links_[item.inode]; links > 1) {
      AV_TRY(image_.set_links(item.inode, links));
      links = 1;  // said once
    }
  }
  return image_.write_folder(folder.inode, above.inode, names);
}

Status SystemTree::finish() { return write(root_, root_); }

}  // namespace armvisor::exec
