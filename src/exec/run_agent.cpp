#include "exec/run_agent.h"

#include "exec/agent_ports.h"
#include "exec/cpio.h"
#include "exec/initramfs.h"

namespace armvisor::exec {
namespace {

Error bad(std::string message) { return {ErrorKind::BadArguments, std::move(message)}; }

Status put_into_initrd(machine::BootConfig& boot) {
  if (boot.initrd.empty()) return {};
  if (boot.kernel_for_firmware)
    return bad(
        "--agent: expected --initrd without --firmware, which has it for itself, found both; leave one out, or "
        "install the agent in the system (armvisor agent)");
  if (!boot.append && !boot.dtb.empty())
    return bad(
        "--agent: expected --append with --dtb, since the kernel is told of the agent there, found none; add it");
  const std::string append = boot.append.value_or("");
  if (append.find("rdinit=") != append.npos)
    return bad(
        "--agent: expected a kernel command line without rdinit=, which is the agent's, found one; leave it out");
  boot.append = append + (append.empty() ? "" : " ") + "rdinit=" + AV_RUN_AGENT;
  CpioArchive archive;
  archive.add_file(std::string_view(AV_RUN_AGENT).substr(1), agent_image(), 0755);
  boot.initrd_more = archive.finish();
  return {};
}

}  // namespace

Result<std::unique_ptr<AgentServer>> add_agent(vmm::VmConfig& config) {
  if (config.name.empty()) return bad("--agent: expected --name, by which others find the machine, found none; add it");
  AV_TRY(put_into_initrd(config.boot));
  AV_TRY_ASSIGN(auto server, AgentServer::create({}));
  machine::ConsoleSpec console;
  console.multiport = true;
  add_agent_ports(*server, config, console, 1);
  config.devices.emplace_back(std::move(console));
  config.on_start = [agent = server.get(), name = config.name] { return agent->start(name); };
  return server;
}

}  // namespace armvisor::exec
