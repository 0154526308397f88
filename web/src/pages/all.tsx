// The pages that are loaded once the list of runs is there: with the charts they are most of the code.

export { ComparePage } from "./compare";
export { ExplorePage } from "./explore";
export { LivePage } from "./live";
export { NewPage } from "./new";
