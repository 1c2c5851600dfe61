#include "exec/fetch_kernel.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/child_process.h"
#include "base/host_error.h"
#include "base/log.h"
#include "exec/cache_folder.h"
#include "exec/initramfs.h"
#include "exec/kernel.h"
#include "exec/modules.h"

namespace armvisor::exec {
namespace {

namespace fs = std::filesystem;

constexpr const char *k_folder = "debian-kernels", *k_unfinished = "unfinished-";
constexpr const char* k_keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
constexpr const char* k_archive = "http://deb.debian.org/debian";
constexpr const char* k_security = "http://deb.debian.org/debian-security";
constexpr u64 k_longest_text = u64{1} << 20;

Error bad(const std::string& message) { return {ErrorKind::BadInput, "fetch: " + message}; }
Error lacks(const std::string& message) { return {ErrorKind::HostResource, "fetch: " + message}; }

/// Letters, digits and . _ + - ~ : what names of releases and packages are made of.
bool is_plain(const std::string& name) {
  return !name.empty() && name.size() < 128 && name[0] != '-' && name[0] != '.' &&
         std::ranges::all_of(name, [](char c) { return isalnum(static_cast<unsigned char>(c)) || strchr("._+-~", c); });
}

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(k_longest_text, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

Status write_text(const fs::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  return out ? Status() : Status(lacks("expected to write " + path.string() + "; make room in the cache"));
}

/// What is fetched, until it has its place; goes with all that is in it.
class Staging {
 public:
  static Result<Staging> create(const fs::path& cache) {
    std::string name = (cache / (std::string(k_unfinished) + "XXXXXX")).string();
    remove_left(cache);
    if (!mkdtemp(name.data())) return host_error("fetch: expected a folder in the cache", errno, "make room for it");
    return Staging(name, lock(name));
  }
  Staging(Staging&& other) noexcept : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  ~Staging() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }
  const fs::path& path() const { return path_; }

 private:
  Staging(fs::path path, Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  /// Nothing: whoever made it is still at work.
  static Fd lock(const fs::path& folder) {
    Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return fd && flock(fd.get(), LOCK_EX | LOCK_NB) == 0 ? std::move(fd) : Fd();
  }
  /// What processes left that were killed.
  static void remove_left(const fs::path& cache) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(cache, error))
      if (entry.path().filename().string().starts_with(k_unfinished) && lock(entry.path()))
        fs::remove_all(entry.path(), error);
  }
  fs::path path_;
  Fd lock_;
};

/// Runs a program in a folder; its output, if any, in that file there.
Status run_tool(const fs::path& folder, const std::vector<std::string>& words, const std::string& package,
                const std::string& purpose, const char* output = "/dev/null") {
  std::vector<std::string> all = {"sh",
                                  "-c",
                                  "cd \"$1\" && shift && o=$1 && shift && PATH=$PATH:/usr/sbin:/sbin "
                                  "LC_ALL=C exec \"$@\" > \"$o\"",
                                  "fetch",
                                  folder.string(),
                                  output};
  all.insert(all.end(), words.begin(), words.end());
  AV_TRY_ASSIGN(ChildProcess child, ChildProcess::start(all, Fd(), "which " + purpose, package));
  std::string said;
  const auto take = [&] {
    said += child.take_messages();
    if (said.size() > 4096) said.erase(0, said.size() - 4096);
  };
  while (!child.ended()) {
    take();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const int status = child.end(0);
  take();
  if (status == 0) return {};
  while (said.ends_with('\n')) said.pop_back();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
    return lacks(fmt::format("expected the program {}, which {}, found none; install {}", words[0], purpose, package));
  return lacks(fmt::format("expected that {} {}, but it {}{}{}; check the network, --mirror and --keyring", words[0],
                           purpose, describe_status(status), said.empty() ? "" : ": ", said));
}

struct Mirrors {
  std::string main = k_archive, security = k_security;
};

/// Those that the host takes Debian's packages from.
Mirrors host_mirrors(const fs::path& folder) {
  Mirrors mirrors;
  const Status asked = run_tool(
      folder, {"apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)", "Created-By: Packages"},
      "apt", "names the host's mirrors", "targets");
  std::ifstream lines(asked ? folder / "targets" : fs::path());
  std::string origin, codename, uri;
  while (lines >> origin >> codename >> uri) {
    if (origin != "Debian" || uri.find_first_of("[]") != uri.npos) continue;
    if (codename.ends_with("-security"))
      mirrors.security = uri;
    else if (codename.find('-') == codename.npos)
      mirrors.main = uri;
  }
  return mirrors;
}

/// An apt of its own, whose lists, packages and state are in the folder.
class OwnApt {
 public:
  explicit OwnApt(fs::path folder) : folder_(std::move(folder)) {}

  Status prepare(const FetchOptions& options) {
    std::error_code error;
    for (const char* name : {"state/lists/partial", "cache/archives/partial", "empty"})
      fs::create_directories(folder_ / name, error);
    if (error) return lacks("expected folders in the cache: " + error.message() + "; make room there");
    const std::string keyring = options.keyring.empty() ? k_keyring : options.keyring;
    if (access(keyring.c_str(), R_OK) != 0)
      return lacks(
          "expected the archive's keys in " + keyring +
          (options.keyring.empty() ? ", found none; install debian-archive-keyring" : ", found none; name others"));
    const std::string from = "deb [arch=armhf signed-by=" + fs::absolute(keyring).string() + "] ";
    const Mirrors mirrors = options.mirror.empty() ? host_mirrors(folder_) : Mirrors{options.mirror, ""};
    main_ = from + mirrors.main + " " + options.release + " main\n";
    if (!mirrors.security.empty()) security_ = from + mirrors.security + " " + options.release + "-security main\n";
    AV_TRY(write_text(folder_ / "status", ""));
    return write_text(folder_ / "apt.conf", configuration());
  }

  /// Of the archive, and of its security updates if they can be had.
  Status update() const {
    if (!security_.empty()) {
      AV_TRY(write_text(folder_ / "sources.list", main_ + security_));
      const Status both = update_lists();
      if (both) return both;
      say("without security updates, since: " + both.error().message);
    }
    AV_TRY(write_text(folder_ / "sources.list", main_));
    return update_lists();
  }

  Status run(std::vector<std::string> words, const std::string& purpose, const char* output = "/dev/null") const {
    words.insert(words.begin() + 1, {"-q", "-c", (folder_ / "apt.conf").string()});
    return run_tool(folder_, words, "apt", purpose, output);
  }

 private:
  /// Read behind the host's, whose proxies stay and whose hooks go.
  std::string configuration() const {
    const std::string at = folder_.string();
    return fmt::format(R"(#clear APT::Architectures;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT {{ Architecture "armhf"; Architectures {{ "armhf"; }}; Sandbox::User "root"; Get::AllowUnauthenticated "false"; }};
APT::Update::Error-Mode "any";
Acquire {{ Languages "none"; Retries "2"; AllowInsecureRepositories "false"; AllowWeakRepositories "false";
  AllowDowngradeToInsecureRepositories "false"; IndexTargets::deb::Contents-deb::DefaultEnabled "false"; }};
Dir {{ State "{0}/state"; State::status "{0}/status"; State::extended_states "{0}/extended"; Cache "{0}/cache";
  Etc::sourcelist "{0}/sources.list"; Etc::sourceparts "{0}/empty"; Etc::preferences "/dev/null";
  Etc::preferencesparts "{0}/empty"; Etc::trusted "/dev/null"; Etc::trustedparts "{0}/empty"; }};
)",
                       at);
  }
  Status update_lists() const {
    return run({"apt-get", "update"}, "fetches the archive's lists and checks their signature");
  }
  fs::path folder_;
  std::string main_, security_;  ///< lines of sources.list
};

/// What "Depends: linux-image-6.1.0-50-armmp (= 6.1.176-1)" names.
Result<std::string> package_of(const std::string& shown, const FetchOptions& options) {
  constexpr std::string_view k_field = "\nDepends: ";
  const std::size_t at = shown.find(k_field);
  std::string name = at == shown.npos ? "" : shown.substr(at + k_field.size());
  name.resize(std::min(name.size(), name.find_first_of(" ,\n(")));
  if (is_plain(name) && name.starts_with("linux-image-")) return name;
  return bad(
      fmt::format("expected that linux-image-{} of {} needs a package linux-image-VERSION, found none; check "
                  "--release and --flavour",
                  options.flavour, options.release));
}

/// The version of the kernel that a package has, whose files are in the folder.
Result<std::string> version_in(const fs::path& tree) {
  std::error_code error;
  for (fs::directory_iterator at(tree / "boot", error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    if (name.starts_with("vmlinuz-") && is_plain(name)) return name.substr(8);
  }
  return bad("expected boot/vmlinuz-VERSION in the package, found none; check --flavour");
}

/// The kernel and the modules that exec may load, out of the package's files.
Status keep_needed(const fs::path& tree, const fs::path& to, const std::string& version) {
  AV_TRY_ASSIGN(const Folder package, Folder::open(tree.string(), "fetch"));
  AV_TRY_ASSIGN(Folder folder, package.enter("lib/modules/" + version));
  AV_TRY_ASSIGN(const ModuleFolder modules, ModuleFolder::open(std::move(folder)));
  std::vector<std::string> files = {"modules.dep"};
  for (const char* name : k_loaded_modules) (void)modules.list().add(name, files);
  const fs::path from = tree / "lib/modules" / version, kept = to / "lib/modules" / version;
  if (fs::exists(from / "modules.builtin")) files.push_back("modules.builtin");
  std::error_code error;
  fs::create_directories(to / "boot", error);
  fs::copy_file(tree / "boot" / ("vmlinuz-" + version), to / "boot" / ("vmlinuz-" + version), error);
  for (const std::string& file : files) {
    if (error) break;
    fs::create_directories((kept / file).parent_path(), error);
    if (!error) fs::copy_file(from / file, kept / file, error);
  }
  if (error) return lacks("expected room in the cache for the kernel: " + error.message() + "; make some");
  return {};
}

/// At once, and only when all of it is on the disk.
Status put_in_place(const fs::path& made, const fs::path& place) {
  const Fd folder(::open(made.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || syncfs(folder.get()) != 0)
    return host_error("fetch: expected to write the kernel", errno, "make room in the cache");
  if (rename(made.c_str(), place.c_str()) == 0) return {};
  // One is there already: it goes with what else is unfinished.
  if (renameat2(AT_FDCWD, made.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) == 0) return {};
  return host_error("fetch: expected to put the kernel at " + place.string(), errno, "remove what is there");
}

Status unpack(const OwnApt& apt, const fs::path& folder, const std::string& package, const fs::path& tree) {
  AV_TRY(apt.run({"apt-get", "download", package}, "fetches the package " + package));
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".deb")
      return run_tool(folder, {"dpkg-deb", "-x", at->path().string(), tree.string()}, "dpkg", "unpacks the package");
  return lacks("expected the package " + package + ", found none; check the mirror");
}

/// Of one version that without LPAE, whose name is the shorter one.
bool is_newer(const std::string& name, const std::string& than) {
  if (name.starts_with(than) || than.starts_with(name)) return name.size() < than.size();
  return strverscmp(name.c_str(), than.c_str()) > 0;
}

}  // namespace

Result<std::string> fetch_kernel(const FetchOptions& options) {
  for (const std::string& name : {options.release, options.flavour})
    if (!is_plain(name))
      return Error{ErrorKind::BadArguments, "fetch: expected a plain name, found '" + name + "'; change it"};
  if (options.mirror.find_first_of(" \t\n[]") != options.mirror.npos)
    return Error{ErrorKind::BadArguments, "--mirror: expected a URL, found '" + options.mirror + "'; change it"};
  const std::string cache = own_cache_folder(k_folder);
  if (cache.empty())
    return lacks(
        "expected the user's own folder $XDG_CACHE_HOME/armvisor, or ~/.cache/armvisor, that nobody else can "
        "write to, found none; make it so");
  AV_TRY_ASSIGN(const Staging staging, Staging::create(cache));
  const fs::path folder = staging.path(), tree = folder / "tree", made = folder / "made";
  OwnApt apt(folder);
  AV_TRY(apt.prepare(options));
  say("fetch: the lists of " + options.release + " for armhf");
  AV_TRY(apt.update());
  AV_TRY(apt.run({"apt-cache", "show", "linux-image-" + options.flavour},
                 "knows the package linux-image-" + options.flavour, "shown"));
  AV_TRY_ASSIGN(const std::string package, package_of("\n" + text_of(folder / "shown"), options));
  say("fetch: " + package);
  AV_TRY(unpack(apt, folder, package, tree));
  AV_TRY_ASSIGN(std::string version, version_in(tree));
  AV_TRY(run_tool(folder, {"depmod", "-b", tree.string(), version}, "kmod", "finds out what modules need"));
  AV_TRY(keep_needed(tree, made, version));
  AV_TRY(put_in_place(made, fs::path(cache) / (options.release + "." + options.flavour)));
  return version;
}

std::optional<Folder> fetched_kernel() {
  const std::string cache = own_cache_folder(k_folder);
  if (cache.empty()) return std::nullopt;
  std::optional<Folder> newest;
  std::string version;
  std::error_code error;
  for (fs::directory_iterator at(cache, error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename().string().starts_with(k_unfinished)) continue;
    auto folder = Folder::open(at->path().string(), "fetched kernel");
    if (!folder) continue;
    for (const std::string& name : folder->list("boot"))
      if (name.starts_with("vmlinuz-") && (!newest || is_newer(name, version))) {
        version = name;
        newest = *folder;
      }
  }
  return newest;
}

}  // namespace armvisor::exec
