// The pages that are loaded once the list of runs is there: with the charts they are most of the code.

export { ComparePage } from "./compare";
export { DrawPage } from "./draw";
export { ExplorePage } from "./explore";
export { EyePage } from "./eye";
export { LivePage } from "./live";
export { NewPage } from "./new";
export { SlowPage } from "./slow";
