// swift-tools-version: 6.1
import PackageDescription

// One place for every target's settings. Warnings are errors when the environment says so (CI does); a
// developer's half-written line is a warning until then.
let strict: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ] + (Context.environment["TANDEM_STRICT"] == "1" ? [.unsafeFlags(["-warnings-as-errors"])] : [])

/// Decides: the standard library only, no clock, no randomness, no system call.
func core(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: "Sources/Core/\(name)", swiftSettings: strict)
}

/// Acts: wraps one facility of Linux, decides nothing.
func system(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: ["Basics", "CLinux"] + dependencies, path: "Sources/System/\(name)",
        swiftSettings: strict)
}

/// Joins cores and hands.
func runtime(
    _ name: String, _ dependencies: [Target.Dependency], _ settings: [SwiftSetting] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: "Sources/Runtime/\(name)",
        swiftSettings: strict + settings)
}

/// Parses arguments, calls a runtime, sets the exit code.
func command(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name,
        dependencies: dependencies + [.product(name: "ArgumentParser", package: "swift-argument-parser")],
        path: "Sources/Commands/\(name)", swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, path: "Tests/\(name)", swiftSettings: strict)
}

let package = Package(
    name: "tandem",
    products: [
        .executable(name: "tandem", targets: ["tandem"]),
        .executable(name: "tandem-simulate", targets: ["tandem-simulate"]),
        .executable(name: "tandem-lab", targets: ["tandem-lab"]),
        .executable(name: "tandem-bench", targets: ["tandem-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // Core
        core("Basics"),
        core("Quorum", ["Basics"]),
        core("DiskFormat", ["Basics", "Quorum"]),
        core("WireFormat", ["Basics", "Quorum"]),
        core("Replication", ["Basics", "Quorum", "DiskFormat", "WireFormat"]),
        core("Election", ["Basics"]),
        core("Failover", ["Basics"]),
        core("Balancing", ["Basics"]),
        core("ProxyReport", ["Basics", "Balancing"]),
        core("HTTPFraming"),

        // System
        .target(name: "CLinux", path: "Sources/System/CLinux"),
        .systemLibrary(
            name: "CFuse", path: "Sources/System/CFuse", pkgConfig: "fuse3",
            providers: [.apt(["libfuse3-dev"])]),
        .systemLibrary(
            name: "CUring", path: "Sources/System/CUring", pkgConfig: "liburing",
            providers: [.apt(["liburing-dev"])]),
        .systemLibrary(
            name: "COpenSSL", path: "Sources/System/COpenSSL", pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CYaml", path: "Sources/System/CYaml", providers: [.apt(["libyaml-dev"])]),
        system("LinuxSystem", ["CUring"]),
        system("BlockStore", ["LinuxSystem"]),
        system("FuseDevice", ["LinuxSystem", "CFuse"]),
        system("SecureChannel", ["LinuxSystem", "COpenSSL"]),
        system("Netlink", ["LinuxSystem", "HostServices"]),
        system("HostServices", ["LinuxSystem"]),

        // Runtime
        runtime("Settings", ["Basics", "CYaml"]),
        runtime("Telemetry", ["Basics", .product(name: "Logging", package: "swift-log")]),
        runtime("ControlPlane", ["Basics", "CLinux", "LinuxSystem", "Telemetry"]),
        runtime(
            "WitnessRuntime",
            [
                "Basics", "Quorum", "WireFormat", "Election", "Settings", "Telemetry", "CLinux",
                "LinuxSystem",
                "SecureChannel", "ControlPlane",
            ]),
        runtime(
            "Provisioning",
            [
                "Basics", "Quorum", "DiskFormat", "WireFormat", "Election", "Settings", "CLinux",
                "LinuxSystem",
                "BlockStore",
                "SecureChannel", "ControlPlane", "WitnessRuntime",
            ]),
        runtime(
            "NodeRuntime",
            [
                "Basics", "Quorum", "DiskFormat", "WireFormat", "Replication", "Election", "Failover",
                "Settings",
                "Telemetry", "ControlPlane", "CLinux", "CUring", "LinuxSystem", "BlockStore", "FuseDevice",
                "SecureChannel", "Netlink", "HostServices",
            ]),
        runtime(
            "ProxyRuntime",
            [
                "Basics", "HTTPFraming", "Balancing", "ProxyReport", "CLinux", "LinuxSystem", "SecureChannel",
                "Settings", "Telemetry", "ControlPlane", "WitnessRuntime",
            ],
            // A quarter of what a request costs us outside the kernel were run-time checks for overlapping accesses to
            // properties, all on one thread. Builds for tests and debugging, in which all stories run, keep them.
            [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]),
        runtime("Simulation", ["Basics", "Quorum", "DiskFormat", "WireFormat", "Replication"]),
        runtime("Lab", ["Basics", "CLinux", "ControlPlane", "LinuxSystem"]),

        // Commands
        command(
            "tandem",
            [
                "Basics", "Settings", "Telemetry", "ControlPlane", "WitnessRuntime", "Provisioning",
                "NodeRuntime", "ProxyRuntime",
            ]),
        command("tandem-simulate", ["Simulation"]),
        command("tandem-lab", ["Lab", "Basics", "NodeRuntime", "Settings", "Telemetry"]),
        command("tandem-bench", ["Lab", "Basics"]),
        tests("TelemetryTests", ["Basics", "Telemetry"]),
        tests("ControlPlaneTests", ["Basics", "LinuxSystem", "Telemetry", "ControlPlane"]),
        tests(
            "WitnessRuntimeTests",
            [
                "Basics", "Quorum", "WireFormat", "Settings", "Telemetry", "LinuxSystem", "SecureChannel",
                "ControlPlane", "WitnessRuntime",
            ]),
        tests(
            "ProvisioningTests",
            [
                "Basics", "Quorum", "DiskFormat", "Election", "Settings", "Telemetry", "LinuxSystem",
                "BlockStore", "SecureChannel", "WitnessRuntime", "Provisioning",
            ]),
        tests("BasicsTests", ["Basics"]),
        tests("LabTests", ["Lab", "Basics"]),
        tests("DiskFormatTests", ["Basics", "Quorum", "DiskFormat"]),
        tests("WireFormatTests", ["Basics", "Quorum", "WireFormat"]),
        tests("ElectionTests", ["Basics", "Election"]),
        tests("FailoverTests", ["Basics", "Failover"]),
        tests("BalancingTests", ["Basics", "Balancing"]),
        tests("ProxyReportTests", ["Basics", "Balancing", "ProxyReport"]),
        tests(
            "ProxyRuntimeTests",
            [
                "Basics", "Balancing", "HTTPFraming", "LinuxSystem", "ProxyReport", "Settings", "Telemetry",
                "ControlPlane", "ProxyRuntime",
            ]),
        .testTarget(
            name: "HTTPFramingTests", dependencies: ["Basics", "HTTPFraming", "Lab"],
            path: "Tests/HTTPFramingTests", exclude: ["cases.txt"], swiftSettings: strict),
        tests("QuorumTests", ["Basics", "Quorum"]),
        tests("ReplicationTests", ["Basics", "Quorum", "DiskFormat", "WireFormat", "Replication"]),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulation"], path: "Tests/SimulationTests",
            exclude: ["seeds.txt"], swiftSettings: strict),
        tests("NetlinkTests", ["Basics", "CLinux", "LinuxSystem", "Netlink", "HostServices", "Election"]),
        tests("HostServicesTests", ["Basics", "CLinux", "LinuxSystem", "HostServices"]),
        tests("SecureChannelTests", ["Basics", "COpenSSL", "LinuxSystem", "SecureChannel"]),
        tests("SettingsTests", ["Basics", "Settings"]),
        tests("LinuxSystemTests", ["Basics", "CLinux", "LinuxSystem"]),
        tests("BlockStoreTests", ["Basics", "CLinux", "LinuxSystem", "BlockStore"]),
        tests("FuseDeviceTests", ["Basics", "CLinux", "LinuxSystem", "FuseDevice"]),
        tests(
            "NodeRuntimeTests",
            [
                "Basics", "Quorum", "DiskFormat", "WireFormat", "Replication", "CLinux", "LinuxSystem",
                "BlockStore", "FuseDevice", "SecureChannel", "Settings", "Telemetry", "HostServices",
                "WitnessRuntime", "NodeRuntime", "Failover", "Netlink", "ControlPlane", "Election",
            ]),
    ],
    swiftLanguageModes: [.v6]
)
