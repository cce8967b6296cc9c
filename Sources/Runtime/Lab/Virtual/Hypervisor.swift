import Basics
import Glibc

/// How QEMU is started: with hardware virtualisation where a machine boots with it, emulated otherwise.
struct Hypervisor: Sendable {
    /// What runs a machine's processor.
    enum Accelerator: String, Sendable {
        case hardware = "kvm"
        case emulation = "tcg"
    }

    let place: VirtualPlace
    let accelerator: Accelerator

    private static let program = "qemu-system-x86_64"

    /// The words that every machine is started with. `-nodefaults`: no screen, no second network, no floppy.
    private static func base(_ accelerator: Accelerator, memory: Int) -> [String] {
        let processor: [String] =
            switch accelerator {
            case .hardware: ["-accel", "kvm", "-cpu", "host"]
            // The oldest 64-bit processor: what runs on it runs anywhere.
            case .emulation: ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "qemu64"]
            }
        return [program, "-machine", "q35,hpet=off"] + processor + [
            "-smp", "1", "-m", "\(memory)", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot",
            "-device", "virtio-rng-pci",
        ]
    }

    /// The kernel's command line, but for the lab's own words. Under emulation the clock is the host's time stamp
    /// counter, at its frequency: without these two words the kernel measures it anew, and badly on a busy host.
    private static func kernelWords(_ accelerator: Accelerator) -> String {
        var words =
            "root=/dev/vda ro console=ttyS0 quiet panic=-1 net.ifnames=0 mitigations=off nokaslr"
            + " random.trust_cpu=on init=/usr/local/sbin/lab-init"
        if accelerator == .emulation {
            words += " tsc=reliable no_timer_check"
            if let frequency = processorKilohertz { words += " tsc_early_khz=\(frequency)" }
        }
        return words
    }

    private static var processorKilohertz: Int? {
        guard
            let line = TextFile.read("/proc/cpuinfo")?.split(separator: "\n").first(where: {
                $0.hasPrefix("cpu MHz")
            }), let text = line.split(separator: " ").last, let megahertz = Double(text)
        else { return nil }
        return Int(megahertz * 1000)
    }

    private func boot(console: String, words: String) -> [String] {
        [
            "-kernel", place.kernel, "-initrd", place.firstRoot, "-append",
            Self.kernelWords(accelerator) + " " + words, "-serial", "file:\(console)",
        ]
    }

    private static func drive(_ name: String, _ file: String) -> [String] {
        ["-drive", "if=none,id=\(name),file=\(file),format=raw", "-device", "virtio-blk-pci,drive=\(name)"]
    }

    /// The whole command that runs one machine.
    func command(_ name: String, diskSocket: String) -> [String] {
        var words = Self.base(accelerator, memory: 512) + ["-name", name]
        let address = VirtualLab.address(of: name) + "/24"
        let reach = VirtualReach.address(of: name) + "/24"
        words += boot(
            console: place.console(name),
            words: "lab.name=\(name) lab.address=\(address) lab.reach=\(reach)")
        words += Self.drive("disk", "nbd+unix:///?socket=\(diskSocket),cache=writeback")
        words += Self.drive("product", place.product + ",readonly=on")
        // eth0 is how the lab reaches the machine, eth1 the cluster's network; their names are ports of the bridges.
        for (index, port) in [VirtualReach.port(of: name), name].enumerated() {
            let hardware =
                index == 0 ? VirtualReach.hardwareAddress(of: name) : LabNetwork.hardwareAddress(of: name)
            words += [
                "-netdev", "tap,id=net\(index),ifname=\(port),script=no,downscript=no", "-device",
                "virtio-net-pci,netdev=net\(index),mac=\(hardware),romfile=",
            ]
        }
        words += ["-device", "virtio-serial-pci"]
        for port in 1...4 {
            words += [
                "-chardev", "file,id=port\(port),path=\(place.port(port, of: name)),append=on", "-device",
                "virtserialport,chardev=port\(port),nr=\(port),name=lab.\(port)",
            ]
        }
        return words
    }

    /// Finds out whether a machine boots with hardware virtualisation here, once a boot of this host. There are hosts
    /// where /dev/kvm is there and a machine hangs in it, so only a kernel that says it runs counts.
    static func find(_ place: VirtualPlace, in host: LabMachine) throws(LabError) -> Hypervisor {
        let boot = TextFile.read("/proc/sys/kernel/random/boot_id") ?? ""
        if let text = TextFile.read(place.accelerator), text.hasSuffix(boot) {
            let known = text.hasPrefix("kvm") ? Accelerator.hardware : .emulation
            return Hypervisor(place: place, accelerator: known)
        }
        let isHardware = try probe(place, in: host)
        let found = isHardware ? Accelerator.hardware : .emulation
        try TextFile.write("\(found.rawValue) \(boot)", to: place.accelerator)
        return Hypervisor(place: place, accelerator: found)
    }

    private static func probe(_ place: VirtualPlace, in host: LabMachine) throws(LabError) -> Bool {
        guard access("/dev/kvm", R_OK | W_OK) == 0 else { return false }
        let console = place.directory.path + "/probe.log"
        let trial = Hypervisor(place: place, accelerator: .hardware)
        unlink(console)
        let begin = LabClock.now()
        let trialRun = try host.run(
            base(.hardware, memory: 256) + trial.boot(console: console, words: "lab.probe")
                + drive("disk", place.root + ",readonly=on"),
            limit: .seconds(20))
        let runs = TextFile.read(console)?.contains("lab-init: the kernel runs") == true
        let word = runs ? "a machine boots with /dev/kvm" : "no machine boots with /dev/kvm"
        let time = LabClock.now().since(begin).text
        try TextFile.write("\(word) (\(time)): \(trialRun.output)\n", to: console + ".outcome")
        return runs
    }
}
